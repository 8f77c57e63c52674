package toolbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asked reads a call of podman create that was recorded: the container that comes of it,
// as podman would tell. Words may be quoted.
func asked(t *testing.T, line string) *Box {
	t.Helper()
	var words []string
	for _, w := range strings.Fields(line) {
		words = append(words, strings.NewReplacer(`"`, "", "'", "").Replace(w))
	}
	c := Container{ID: strings.Repeat("c", 64), Labels: map[string]string{}, Asked: Asked{Network: "slirp4netns", PID: "private"}}
	valued := []string{"security-opt", "user", "ipc", "annotation", "ulimit", "userns", "entrypoint", "dns", "mount"}
	i := 2
	for ; i < len(words) && strings.HasPrefix(words[i], "-"); i++ {
		name := strings.TrimPrefix(words[i], "--")
		if strings.Contains(name, "=") || slices.Contains([]string{"privileged", "no-hosts"}, name) {
			continue
		}
		i++
		key, value, _ := strings.Cut(words[i], "=")
		switch name {
		case "hostname":
			c.Asked.Hostname = words[i]
		case "name":
			c.Name = words[i]
		case "network":
			c.Asked.Network = words[i]
		case "pid":
			c.Asked.PID = words[i]
		case "label":
			c.Labels[key] = value
		case "env":
			c.Env = slices.DeleteFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
			c.Env = append(c.Env, words[i])
		case "volume":
			f := strings.Split(words[i], ":")
			if len(f) == 1 {
				c.Volumes = append(c.Volumes, Mapping{Source: "/store/x/_data", Target: f[0], Volume: strings.Repeat("d", 64)})
				continue
			}
			mt := Mapping{Source: f[0], Target: filepath.Clean(f[1]), Options: []string{"rbind"}}
			if len(f) > 2 && f[2] == "ro" {
				mt.Options = append(mt.Options, "ro")
			}
			c.Mounts = append(c.Mounts, mt)
		default:
			if !slices.Contains(valued, name) {
				t.Fatalf("unknown option %s", words[i-1])
			}
		}
	}
	c.Image, c.Command = words[i], words[i+1:]
	return &Box{Name: Name(c.Name), Container: c}
}

// TestAdoptedSettings: of what distrobox and Toolbx ask podman for, the user's own choices
// come along, their own ways do not, and what a toolbox cannot have is told.
func TestAdoptedSettings(t *testing.T) {
	h := testHost()
	h.User, h.Home, h.RealHome, h.Hostname, h.CDI = "dev", "/home/dev", "/home/dev", "tbx-trixie-7", nil
	plain := CreateOptions{}
	for call, want := range map[string]struct {
		o    CreateOptions
		lost []string
	}{
		"distrobox-1.8.1.2:":                     {plain, nil},
		"distrobox-1.8.1.2:--init":               {plain, []string{"systemd"}},
		"distrobox-1.8.1.2:--nvidia":             {plain, []string{"NVIDIA"}},
		"distrobox-1.8.1.2:--unshare-netns":      {plain, []string{"network"}},
		"distrobox-1.8.1.2:--unshare-all":        {plain, []string{"network", "process table"}},
		"distrobox-1.8.1.2:--home /home/dev/own": {CreateOptions{Home: "/home/dev/own", Volumes: []string{"/home/dev/own:/home/dev/own"}}, []string{"your own home"}},
		`distrobox-1.4.2.1:--volume /srv:/srv/data:ro --additional-flags "--env FOO=bar"`: {CreateOptions{Volumes: []string{"/srv:/srv/data:ro"}, Env: []string{"FOO=bar"}}, nil},
		"toolbx-0.0.99.3:": {plain, nil},
	} {
		file, flags, _ := strings.Cut(call, ":")
		data, err := os.ReadFile("testdata/adopt/" + file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		i := slices.IndexFunc(lines, func(l string) bool {
			_, rest, ok := strings.Cut(l, "create --image localhost/debian:12 ")
			if !ok || !strings.HasPrefix(l, "#") {
				return false
			}
			rest = strings.TrimSpace(strings.NewReplacer("--name dbx", "", "tlb", "").Replace(rest))
			return rest == flags
		})
		if i < 0 {
			t.Fatalf("%s is not recorded", call)
		}
		b := asked(t, lines[i+1])
		if b.Maker() == "" {
			t.Errorf("%s: nobody's: %+v", call, b.Container)
			continue
		}
		got := takeOver(h, b, nil)
		if fmt.Sprintf("%+v", got.o) != fmt.Sprintf("%+v", want.o) {
			t.Errorf("%s: %+v", call, got.o)
		}
		if len(got.lost) != len(want.lost) {
			t.Errorf("%s: lost %q", call, got.lost)
			continue
		}
		for i, l := range got.lost {
			if !strings.Contains(l.What, want.lost[i]) {
				t.Errorf("%s: lost %q, want %s", call, l, want.lost[i])
			}
		}
	}
}

// TestAdoptedChoices: hostile and odd settings are told, and none stops the adoption.
func TestE181_AdoptedChoices(t *testing.T) {
	b := &Box{Name: "box", Container: Container{
		Labels: map[string]string{labelManager: "distrobox"}, Asked: Asked{Network: "host", PID: "host", Hostname: "a b", Ports: true, NanoCPUs: 1},
		Command: []string{"--name", "jane", "--user", "1000", "--home", "/home/jane", "--init", "0", "--pre-init-hooks", "", "--", "touch", "/x\x1b[2J"},
		Env:     []string{"HOME=/home/jane", "A=\xff", "NOVALUE", "GOOD=1", "DISTROBOX_X=1"},
		Mounts: []Mapping{
			{Source: "/x", Target: "/usr/bin/entrypoint"}, {Source: "/a:b", Target: "/c"}, {Source: "/d", Target: "/proc"},
			{Source: "/d", Target: "/sys/none/there"}, {Source: "/data", Target: "/data", Options: []string{"rbind", "ro"}},
		},
		Volumes: []Mapping{
			{Source: "/v/_data", Target: "/cache", Volume: "cache"}, {Source: "/v/_data", Target: "/anon", Volume: strings.Repeat("a", 64)}, {Target: "/scratch"},
			{Source: "/v/_data", Target: "/var/log/journal", Volume: strings.Repeat("b", 64)},
		},
	}}
	got := takeOver(testHost(), b, []string{"GOOD=0"})
	if !slices.Equal(got.o.Volumes, []string{"/data:/data:ro", "cache:/cache"}) || !slices.Equal(got.o.Env, []string{"GOOD=1"}) || got.o.Hostname != "" || got.o.CPUs != "" {
		t.Errorf("%+v", got.o)
	}
	text := fmt.Sprint(got.lost)
	for _, want := range []string{"host name", "/a:b", "/proc", "/sys/none", `A=\xff`, "NOVALUE", "/anon", "/scratch", "ports", `touch /x\x1b`, "0.000000001"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing is said of %s: %q", want, got.lost)
		}
	}
	if strings.Contains(text, "/var/log/journal") || strings.ContainsRune(text, '\x1b') {
		t.Errorf("%q", got.lost)
	}
	if _, err := (&Manager{Host: testHost()}).newSpec(got.o); err != nil {
		t.Error(err)
	}
}

// TestE182_LabelsOfAnImage: labels and a command that an image brings make no toolbox of
// distrobox's; what distrobox mounts does.
func TestE182_LabelsOfAnImage(t *testing.T) {
	args := []string{"--verbose", "--name", "jane", "--user", "1000", "--home", "/home/jane"}
	c := Container{Labels: map[string]string{labelManager: "distrobox"}, Command: args}
	if k := c.Maker(); k != "" {
		t.Errorf("%q", k)
	}
	c.Mounts = []Mapping{{Source: "/usr/bin/distrobox-init", Target: "/usr/bin/entrypoint"}}
	if k := c.Maker(); k != Distrobox {
		t.Errorf("%q", k)
	}
	c.Labels[labelManager] = "apx"
	if k := c.Maker(); k != Apx {
		t.Errorf("%q", k)
	}
	c.Labels[labelManager] = "kubernetes"
	if k := c.Maker(); k != "" {
		t.Errorf("%q", k)
	}
	if distroboxArgs([]string{"--name"}) != nil || distroboxArgs(nil) != nil {
		t.Error("arguments that are cut are taken")
	}
}

// TestE183_MapsOfIDs: a copy goes where the same ids are the same, and nowhere else.
func TestE183_MapsOfIDs(t *testing.T) {
	keep := []string{"0:1:1000", "1000:0:1", "1001:1001:64536"}
	for _, c := range []struct {
		other []string
		same  bool
	}{
		{keep, true},
		{[]string{"0:1:1000", "1000:0:1", "1001:1001:29000"}, true},
		{[]string{"0:1:1000", "1000:0:1", "1001:1002:64535"}, false},
		{[]string{"0:1:999", "999:0:1", "1001:1001:64536"}, false},
		{[]string{"0:0:1", "1:1:65536"}, false},
		{nil, false},
	} {
		if got := sameIDs(keep, c.other); got != c.same {
			t.Errorf("%q: %v", c.other, got)
		}
	}
}
