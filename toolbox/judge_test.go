package toolbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// mounts parses what a test has of mountinfo: number, parent, device, root, point, options.
func mountLines(t *testing.T, text string) []boxinit.MountLine {
	t.Helper()
	var out []boxinit.MountLine
	for line := range strings.Lines(strings.ReplaceAll(strings.TrimSpace(text), "\n\n", "\n")) {
		var l boxinit.MountLine
		var options string
		if _, err := fmt.Sscan(line, &l.ID, &l.Parent, &l.Device, &l.Root, &l.Point, &options); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		l.Options = strings.Split(options, ",")
		out = append(out, l)
	}
	return out
}

// good is what a toolbox has mounted that shares /h/j/src/p to change, /h/j/doc to
// read, and in that /h/j/doc/w to change. Lines come before those they are mounted on.
const good = `
11 10 8:1 /vol /h/j rw,nosuid,nodev
12 10 0:7 /c/cell/userdata/hostname /etc/hostname rw
13 10 8:1 /data/box /run/tbx/box ro,nosuid,nodev
14 10 0:7 /bridge /run/tbx/host ro,nosuid,nodev
16 15 8:1 /j/doc/w /h/j/doc/w rw,nosuid,nodev
15 11 8:1 /j/doc /h/j/doc ro,nosuid,nodev
17 11 8:1 /j/src/p /h/j/src/p rw,nosuid,nodev
10 9 0:1 / / rw
20 10 0:2 / /proc rw
21 10 0:3 / /dev rw
22 21 0:4 /null /dev/null rw
`

func goodWant() []*wantedMount {
	const flags = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	at := func(device, path string) *place { return &place{device: device, root: "/", rel: path[1:]} }
	return []*wantedMount{
		{target: "/run/tbx/box", source: "/d/box", at: at("8:1", "/data/box"), set: flags | unix.MOUNT_ATTR_RDONLY},
		{target: "/run/tbx/host", source: "/r/bridge", at: at("0:7", "/bridge"), set: flags | unix.MOUNT_ATTR_RDONLY},
		{target: "/h/j", source: "/v/vol", at: at("8:1", "/vol"), set: flags},
		{target: "/h/j/src/p", source: "/h/j/src/p", at: at("8:1", "/j/src/p"), set: flags, below: true},
		{target: "/h/j/doc", source: "/h/j/doc", at: at("8:1", "/j/doc"), set: flags | unix.MOUNT_ATTR_RDONLY, below: true},
		{target: "/h/j/doc/w", source: "/h/j/doc/w", at: at("8:1", "/j/doc/w"), set: flags, below: true},
	}
}

// TestX8_Judge: each way to have something else mounted than what was asked for.
func TestX8_Judge(t *testing.T) {
	own := enginesOwn(&Container{ID: "cell"}, false)
	for _, c := range []struct{ name, edit, with, want string }{
		{"as made", "", "", ""},
		{"a disk of the host's below a share", "", "30 15 8:9 / /h/j/doc/disk ro,nosuid,nodev", ""},
		{"and a share in that", "16 15 8:1 /j/doc/w /h/j/doc/w", "16 30 8:1 /j/doc/w /h/j/doc/w rw,nosuid,nodev\n30 15 8:9 / /h/j/doc ro,nosuid,nodev", ""},
		{"a disk on a share itself", "", "30 17 8:9 / /h/j/src/p rw,nosuid,nodev", ""},
		{"RHEL's secrets", "", "30 10 0:9 / /run/secrets rw", ""},

		{"a share over tbx-box", "/h/j/src/p rw", "/run/tbx/box/1 rw", "/h/j/src/p is not mounted at /h/j/src/p but at /run/tbx/box/1"},
		{"a share on tbx-box's place", "17 11 8:1 /j/src/p /h/j/src/p rw", "17 13 8:1 /j/src/p /run/tbx/box rw", "not mounted at /h/j/src/p but at /run/tbx/box"},
		{"a share in /proc", "17 11 8:1 /j/src/p /h/j/src/p rw", "17 20 8:1 /j/src/p /proc/acpi rw", "not mounted at /h/j/src/p but at /proc/acpi"},
		{"another directory", "/j/src/p /h", "/j/.ssh /h", "/h/j/src/p, which the toolbox shares, is no longer the same directory: /j/.ssh"},
		{"of the same name", "/j/src/p /h", "/j/src/q/p /h", "no longer the same directory: /j/src/q/p"},
		{"one that is gone", "/j/src/p /h", "/j/src/p//deleted /h", "no longer the same directory"},
		{"another disk", "17 11 8:1", "17 11 8:2", "no longer the same directory"},
		{"two that are exchanged", "/j/src/p /h/j/src/p", "/j/src/p /h/j/doc/x", "is not mounted at /h/j/src/p"},
		{"another home", "8:1 /vol", "8:1 /vol2", "no longer the same directory"},
		{"a home elsewhere", "/vol /h/j rw", "/vol /home/j rw", "/v/vol is not mounted at /h/j but at /home/j"},
		{"tbx-box from elsewhere", "/data/box /run", "/j/src/p/box /run", "no longer the same directory"},
		{"no tbx-box", "/data/box /run/tbx/box ro", "/data/box /run/old/box ro", "/d/box is not mounted at /run/tbx/box but at /run/old/box"},
		{"a mount over it", "", "30 13 8:1 /evil /run/tbx/box rw", "/evil is mounted at /run/tbx/box, on the way"},
		{"a mount below it", "", "30 13 8:1 /evil /run/tbx/box/1 rw", "/evil is mounted at /run/tbx/box/1, but the toolbox was not made with that"},
		{"a mount on the way to it", "13 10 8:1", "30 10 8:1 /evil /run rw\n13 10 8:1", "/d/box is not mounted at /run/tbx/box: something else is mounted on the way"},
		{"podman's file below it", "0:7 /c/cell/userdata/hostname /etc/hostname", "0:7 /c/cell/userdata/hostname /run/tbx/x", "but the toolbox was not made with that"},
		{"podman's file on the way", "12 10 0:7 /c/cell/userdata/hostname /etc/hostname", "12 11 0:7 /c/cell/userdata/hostname /h/j/src", "on the way"},
		{"of another container", "/c/cell/", "/c/other/", "but the toolbox was not made with that"},
		{"a home that hides a share", "17 11 8:1", "17 10 8:1", "is not mounted at /h/j/src/p"},
		{"something in the home", "", "30 11 8:1 /j /h/j/all rw", "/j is mounted at /h/j/all, but the toolbox was not made with that"},
		{"something elsewhere", "", "30 10 8:1 / /mnt rw", "/ is mounted at /mnt, but the toolbox was not made with that"},
		{"another root", "", "30 10 8:1 /evil / rw", "over its root"},
		{"no root", "10 9 0:1 / /", "10 9 0:1 / /x", "cannot be seen"},
	} {
		text := good
		if c.edit == "" {
			text += c.with
		} else if !strings.Contains(text, c.edit) {
			t.Fatalf("%s: %q is not there", c.name, c.edit)
		}
		if c.edit != "" {
			text = strings.Replace(text, c.edit, strings.TrimSuffix(c.with, " rw,nosuid,nodev"), 1)
		}
		lacks, err := judgeMounts(mountLines(t, text), goodWant(), own)
		switch {
		case c.want == "" && (err != nil || lacks != nil):
			t.Errorf("%s: %v, %+v", c.name, err, lacks)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestX2_Options: what lacks an option is found, of shares and of what the host has
// mounted below them, but not what cannot be seen.
func TestX2_Options(t *testing.T) {
	text := strings.NewReplacer("/h/j/src/p rw,nosuid,nodev", "/h/j/src/p rw", "/h/j rw,nosuid,nodev", "/h/j rw,nosuid").Replace(good) + `
30 15 8:9 / /h/j/doc/disk rw,nodev
31 30 8:9 / /h/j/doc/disk rw
32 16 8:9 / /h/j/doc/w/disk rw,nosuid,nodev`
	lacks, err := judgeMounts(mountLines(t, text), goodWant(), enginesOwn(&Container{ID: "cell"}, false))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, l := range lacks {
		got[l.Point] |= l.Set
	}
	want := map[string]uint64{
		"/h/j":          unix.MOUNT_ATTR_NODEV,
		"/h/j/src/p":    unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID,
		"/h/j/doc/disk": unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_RDONLY,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(lacks) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEnginesOwn: a GPU's driver may be anywhere but where tbx is.
func TestEnginesOwn(t *testing.T) {
	line := boxinit.MountLine{Root: "/usr/lib/libcuda.so", Point: "/usr/lib/libcuda.so"}
	c := &Container{ID: "cell"}
	if enginesOwn(c, false)(line) || !enginesOwn(c, true)(line) {
		t.Error("the driver of a GPU")
	}
	for _, point := range []string{"/run/tbx", "/run/tbx/box/1", "/run/tbx/x"} {
		line := boxinit.MountLine{Root: "/c/cell/userdata/x", Point: point}
		if enginesOwn(c, true)(line) {
			t.Error(point)
		}
	}
}

// TestX4_PlaceOf: a path is what it is in its file system, and no link is followed.
func TestX4_PlaceOf(t *testing.T) {
	h := sharingHost(t)
	it, err := placeOf(h.RealHome + "/src/it")
	if err != nil {
		t.Fatal(err)
	}
	src, err := placeOf(h.RealHome + "/src")
	if err != nil || it.device != src.device || it.path() != src.path()+"/it" {
		t.Errorf("%+v, %+v, %v", src, it, err)
	}
	for _, bad := range []string{h.RealHome + "/src/way", h.RealHome + "/src/way/it", h.Home + "/src", h.RealHome + "/none", "/proc/self/root/etc"} {
		if at, err := placeOf(bad); err == nil {
			t.Errorf("%s is %+v", bad, at)
		}
	}
	if proc, err := placeOf("/proc"); err != nil || proc.path() != "/" || proc.rel != "" {
		t.Errorf("%+v, %v", proc, err)
	}
}

// TestX8_FirstProcessKnows: the shares are in the command of the first process, and
// nothing of tbx's own or podman's.
func TestX8_FirstProcessKnows(t *testing.T) {
	h := sharingHost(t)
	s := testSpec()
	s.Isolated, s.Share, s.Volumes = true, []string{h.RealHome + "/src/it:ro"}, []string{h.RealHome + "/src/it:/mnt", "cache:/c"}
	p, err := NewPlan("cell", s, h, Place{BoxDir: "/d/box", Box: "0", Bridge: "/r/bridge"})
	if err != nil {
		t.Fatal(err)
	}
	got := p.named(s)
	targets := []string{}
	for _, n := range got {
		targets = append(targets, n.Target)
		if !strings.HasSuffix(n.Rel, "src/it") || n.Root == "" {
			t.Errorf("%+v", n)
		}
	}
	if slices.Sort(targets); !slices.Equal(targets, []string{"/mnt", h.RealHome + "/src/it"}) {
		t.Errorf("%q", targets)
	}
}
