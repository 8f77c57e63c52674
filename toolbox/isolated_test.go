package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/xdg"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// sharingHost is a host with a home on disk, to which a link leads, as on OSTree
// systems.
func sharingHost(t *testing.T) *Host {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"real/jane/src/it", "real/jane/.ssh", "real/jane/.config/tbx", "real/jane/.mozilla/firefox", "real/jane/bin", "real/jane/tbxdata/box", "run/1000/bus.d", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"home": "real", "real/jane/src/way": ".", "elsewhere/keys": "../real/jane/.ssh", "elsewhere/home": "../real/jane", "elsewhere/fine": "../real/jane/src/it", "elsewhere/loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "elsewhere/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return &Host{
		Home: top + "/home/jane", RealHome: top + "/real/jane", RuntimeDir: top + "/run/1000",
		Dirs: xdg.Dirs{Config: top + "/real/jane/.config/tbx", Data: top + "/real/jane/tbxdata"},
	}
}

// TestX4Shares: what is shared is resolved once, and is no way out.
func TestX4Shares(t *testing.T) {
	h := sharingHost(t)
	top := filepath.Dir(filepath.Dir(h.Home))
	for in, want := range map[string]string{
		"~/src/it":                        "/real/jane/src/it",
		top + "/home/jane/src/it":         "/real/jane/src/it",
		top + "/home/jane/src/way/way/it": "/real/jane/src/it",
		top + "/real/jane/src/../src/it/": "/real/jane/src/it",
		top + "/elsewhere/fine":           "/real/jane/src/it",
		top + "/elsewhere":                "/elsewhere",
	} {
		if got, _, err := resolveShare(h, in); err != nil || got != top+want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, top+want)
		}
	}
	for _, c := range []struct {
		in   string
		kind error
	}{
		{"", fail.Usage}, {"/", fail.Usage}, {top, fail.Usage}, {top + "/home", fail.Usage}, {top + "/real", fail.Usage},
		{"~/", fail.Usage}, {h.Home, fail.Usage}, {h.RealHome, fail.Usage}, {top + "/real/jane/src/..", fail.Usage}, {top + "/elsewhere/home", fail.Usage},
		{"~/.ssh", fail.Usage}, {top + "/elsewhere/keys", fail.Usage}, {"~/.config", fail.Usage}, {"~/.config/tbx", fail.Usage}, {"~/.mozilla/firefox", fail.Usage}, {"~/bin", fail.Usage},
		{h.RuntimeDir, fail.Usage}, {h.RuntimeDir + "/bus.d", fail.Usage}, {filepath.Dir(h.RuntimeDir), fail.Usage},
		{"~/tbxdata", fail.Usage}, {"~/tbxdata/box", fail.Usage},
		{"/run", fail.Usage}, {"/proc", fail.Usage}, {"/proc/self", fail.Usage}, {"/sys", fail.Usage}, {"/dev", fail.Usage}, {"/dev/shm", fail.Usage}, {"/etc", fail.Usage}, {"/usr", fail.Usage}, {"/usr/bin", fail.Usage}, {"/bin", fail.Usage}, {"/tmp", fail.Usage}, {"/var", fail.Usage}, {"/var/run", fail.Usage},
		{top + "/elsewhere/file", fail.Usage}, {top + "/elsewhere/missing", fail.NotFound}, {top + "/elsewhere/loop", fail.NotFound},
	} {
		if got, _, err := resolveShare(h, c.in); !errors.Is(err, c.kind) {
			t.Errorf("%q was taken as %s (%v)", c.in, got, err)
		}
	}
}

// TestX4Home: the home, to read, is its directories that could be shared one by
// one; by no spelling is it more.
func TestX4Home(t *testing.T) {
	h := sharingHost(t)
	top := filepath.Dir(filepath.Dir(h.Home))
	home := h.RealHome
	for _, d := range []string{"Documents", ".secret"} {
		if err := os.Mkdir(filepath.Join(home, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(".ssh", home+"/keys"), os.Symlink(top+"/elsewhere", home+"/link"), os.WriteFile(home+"/note", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	all := []string{home + "/Documents:ro", home + "/src:ro"}
	for _, v := range []string{"~:ro", "~/:ro", h.Home + ":ro", home + "/src/..:ro", top + "/elsewhere/home:ro"} {
		if got, _, err := shares(h, []string{v}); err != nil || !slices.Equal(got, all) {
			t.Errorf("%s: %q, %v", v, got, err)
		}
	}
	for _, c := range []struct{ in, want []string }{
		{[]string{"~/src/it:ro"}, []string{home + "/src/it:ro"}},
		{[]string{"~:ro", "~/src/it"}, []string{home + "/Documents:ro", home + "/src:ro", home + "/src/it"}},
		{[]string{"~/src", "~:ro", "~/src"}, []string{home + "/Documents:ro", home + "/src"}},
	} {
		if got, _, err := shares(h, c.in); err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if slices.Sort(c.want); !slices.Equal(slices.Sorted(slices.Values(got)), c.want) {
			t.Errorf("%q: %q", c.in, got)
		}
	}
	for _, in := range [][]string{{"~"}, {"~/"}, {home}, {":ro"}, {top + ":ro"}, {"/:ro"}, {"~/.ssh:ro"}, {"~/keys:ro"}, {"~/src", "~/src:ro"}, {"~/src:rw"}} {
		if got, _, err := shares(h, in); !errors.Is(err, fail.Usage) && !errors.Is(err, fail.NotFound) {
			t.Errorf("%q was taken as %q (%v)", in, got, err)
		}
	}
}

// TestX4ShareReplaced: a share that became a link is refused at the next start.
func TestX4ShareReplaced(t *testing.T) {
	h := sharingHost(t)
	s := testSpec()
	s.Isolated, s.Share, s.Volumes = true, []string{h.RealHome + "/src/it"}, []string{filepath.Dir(filepath.Dir(h.Home)) + "/elsewhere:/mnt", "cache:/c"}
	if err := checkSharesStill(h, s); err != nil {
		t.Fatal(err)
	}
	replace := func(dir, with string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(dir), os.Symlink(with, dir)); err != nil {
			t.Fatal(err)
		}
	}
	replace(h.RealHome+"/src/it", h.RealHome+"/.ssh")
	if err := checkSharesStill(h, s); err == nil || !strings.Contains(err.Error(), ".ssh") {
		t.Errorf("a share that leads to the keys: %v", err)
	}
	s.Share = nil
	replace(filepath.Dir(filepath.Dir(h.Home))+"/elsewhere", h.RealHome)
	if err := checkSharesStill(h, s); err == nil || !strings.Contains(err.Error(), h.RealHome) {
		t.Errorf("a volume that leads to the home: %v", err)
	}
	s.Volumes, s.Share = nil, []string{h.RealHome + "/.ssh"} // written into the file by hand
	if err := checkSharesStill(h, s); !errors.Is(err, fail.Usage) {
		t.Errorf("keys: %v", err)
	}
}

func TestIsolatedConflicts(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	for _, o := range []CreateOptions{
		{Share: []string{"~/src"}},
		{NoNetwork: true},
		{ShmSize: "1g"},
		{GPU: true},
		{Isolated: true, ShmSize: "much"},
		{Isolated: true, Home: "/srv/home"},
		{Isolated: true, Volumes: []string{"/:/mnt:ro"}},
		{Isolated: true, Volumes: []string{m.Host.Home + ":/mnt"}},
		{Isolated: true, Volumes: []string{"~/.ssh:/mnt"}},
		{Isolated: true, Volumes: []string{"/run/user:/mnt"}},
	} {
		if _, err := m.newSpec(o); !errors.Is(err, fail.Usage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s, err := m.newSpec(CreateOptions{Isolated: true, Share: []string{"~/src/way/it"}, Volumes: []string{"~/src/way:/mnt:ro", "cache:/c"}})
	if err != nil || !slices.Equal(s.Share, []string{m.Host.RealHome + "/src/it"}) || !slices.Equal(s.Volumes, []string{m.Host.RealHome + "/src:/mnt:ro", "cache:/c"}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestIsolatedHasNoIntegration but what leaks nothing, and the bridge, where the
// policy says what passes; whatever its file says.
func TestIsolatedHasNoIntegration(t *testing.T) {
	s := testSpec()
	s.Isolated = true
	for _, i := range integration.All() {
		if want := i.Key == integration.Locale || i.Key == integration.Timezone || i.Key == integration.Bridge; s.Has(i.Key) != want {
			t.Errorf("%s: %t", i.Key, !want)
		}
	}
	if len(s.withoutAll()) != len(integration.All())-3 {
		t.Errorf("off: %q", s.withoutAll())
	}
}

// TestIsolatedEnvironment: nothing of the caller's but what the terminal and the
// language need.
func TestIsolatedEnvironment(t *testing.T) {
	s := testSpec()
	s.Isolated = true
	r := &join.Record{Name: "cell", Home: "/home/jane", Isolated: true, Without: s.withoutAll(), Env: []string{"PATH=/usr/bin"}}
	got := SessionEnv(r, []string{
		"TERM=xterm", "COLORTERM=truecolor", "NO_COLOR=1", "LANG=de_DE.UTF-8", "LC_TIME=C", "TZ=Asia/Tokyo",
		"VTE_VERSION=1", "TERM_PROGRAM=x", "DISPLAY=:0", "SSH_AUTH_SOCK=/x", "AWS_SECRET_ACCESS_KEY=x", "http_proxy=http://u:p@x", "PATH=/home/jane/bin:/usr/bin", "DBUS_SESSION_BUS_ADDRESS=unix:path=/x", "XDG_SESSION_ID=2",
	}, EnvOptions{Set: []string{"A=1"}, Dir: "/", Shell: "/bin/sh"})
	want := []string{"A=1", "COLORTERM=truecolor", "HOME=/home/jane", "LANG=de_DE.UTF-8", "LC_TIME=C", "NO_COLOR=1", "PATH=/usr/bin", "PWD=/", "SHELL=/bin/sh", "TBX_TOOLBOX=cell", "TERM=xterm", "TZ=Asia/Tokyo"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestEditedIsolation: a file that says something else than the container is
// refused, in both directions.
func TestEditedIsolation(t *testing.T) {
	for _, made := range []bool{false, true} {
		for _, says := range []bool{false, true} {
			m := &Manager{Host: &Host{Dirs: xdg.Dirs{Config: t.TempDir()}}}
			s := testSpec()
			s.Isolated = says
			if err := saveSpec(m.Host.Dirs.Config, "web", s); err != nil {
				t.Fatal(err)
			}
			c := &Container{Name: "web", Labels: map[string]string{LabelID: s.ID}, Command: []string{"/run/tbx/box/0/tbx-box"}}
			if made {
				c.Labels[LabelIsolated] = "true"
			}
			if b := m.box(c); (b.SpecErr == nil) != (made == says) || b.Isolated() != made {
				t.Errorf("made isolated: %t, says: %t: %v", made, says, b.SpecErr)
			}
		}
	}
}

func TestHostnameFrom(t *testing.T) {
	for name, want := range map[Name]string{"web": "web", "a_b.c": "a-b-c", Name(strings.Repeat("x", 100)): strings.Repeat("x", 63), "a__": "a"} {
		if got := hostnameFrom(name); got != want || checkHostname(got) != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
