package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// TestX9_Overlap: a directory in one that an isolated toolbox may change is not
// shared, whichever came first, and neither by --volume; what cannot be exchanged is.
func TestX9_Overlap(t *testing.T) {
	for _, c := range []struct {
		name       string
		have, want CreateOptions // one that there is, and the new one
		refused    string
	}{
		{"in one to change", CreateOptions{Share: []string{"~/src"}}, CreateOptions{Share: []string{"~/src/it"}}, "src/it cannot be shared: it is in"},
		{"in one to change, to read", CreateOptions{Share: []string{"~/src"}}, CreateOptions{Share: []string{"~/src/it:ro"}}, "it is in"},
		{"above, to change", CreateOptions{Share: []string{"~/src/it:ro"}}, CreateOptions{Share: []string{"~/src"}}, "cannot be shared to be changed"},
		{"by volume", CreateOptions{Volumes: []string{"~/src:/mnt"}}, CreateOptions{Share: []string{"~/src/it"}}, "it is in"},
		{"by volume, the new one", CreateOptions{Share: []string{"~/src"}}, CreateOptions{Volumes: []string{"~/src/it:/mnt:ro"}}, "it is in"},
		{"by a link", CreateOptions{Share: []string{"~/src"}}, CreateOptions{Share: []string{"~/src/way/it"}}, "it is in"},
		{"the home to read", CreateOptions{Share: []string{"~:ro"}}, CreateOptions{Share: []string{"~/src"}}, ""},
		{"in one to read", CreateOptions{Share: []string{"~/src:ro"}}, CreateOptions{Share: []string{"~/src/it"}}, ""},
		{"the same", CreateOptions{Share: []string{"~/src"}}, CreateOptions{Share: []string{"~/src"}}, ""},
		{"beside", CreateOptions{Share: []string{"~/src/it"}}, CreateOptions{Share: []string{"~/srcs"}}, ""},
		{"a volume of podman's", CreateOptions{Volumes: []string{"src:/mnt"}}, CreateOptions{Share: []string{"~/src/it"}}, ""},
		{"in its own", CreateOptions{}, CreateOptions{Share: []string{"~/src", "~/src/it:ro"}}, "cannot be shared as well as"},
		{"in its own to read", CreateOptions{}, CreateOptions{Share: []string{"~/src:ro", "~/src/it"}}, ""},
	} {
		m := &Manager{Host: sharingHost(t)}
		if err := os.Mkdir(filepath.Join(m.Host.RealHome, "srcs"), 0o700); err != nil {
			t.Fatal(err)
		}
		c.have.Name, c.have.Isolated, c.want.Name, c.want.Isolated = "a", true, "b", true
		s, err := m.newSpec(c.have)
		if err == nil {
			err = saveSpec(m.Host.Dirs.Config, "a", s)
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, err = m.newSpec(c.want)
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.refused != "" && (!errors.Is(err, fail.Usage) || !strings.Contains(err.Error(), c.refused) || len(fail.Hints(err)) == 0):
			t.Errorf("%s: %v", c.name, err)
		}
		c.want.Name = "a" // made anew, it is not in its own way
		if _, err := m.newSpec(c.want); c.name != "in its own" && err != nil {
			t.Errorf("%s, made anew: %v", c.name, err)
		}
	}
}

// TestX50_LinkInAShare: a name that leads through a link which an isolated toolbox may
// have put there names what that toolbox wants. It is refused wherever the link leads,
// by --volume too, and while it is exchanged with a directory.
func TestX50_LinkInAShare(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	home := m.Host.RealHome
	for _, d := range []string{"notes/deep", "links", "src/job"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"src/out": "../notes", "src/abs": home + "/notes/deep", "links/fine": "../notes", "links/by": "../src/out/deep", "src/two": "out"} {
		if err := os.Symlink(to, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := m.newSpec(CreateOptions{Name: "a", Isolated: true, Share: []string{"~/src"}})
	if err == nil {
		err = saveSpec(m.Host.Dirs.Config, "a", s)
	}
	if err != nil {
		t.Fatal(err)
	}
	for dir, refused := range map[string]bool{"src/out": true, "src/out/deep": true, "src/abs": true, "src/two": true, "links/by": true, "links/fine": false, "links/fine/deep": false} {
		for _, o := range []CreateOptions{{Share: []string{"~/" + dir}}, {Share: []string{"~/" + dir + ":ro"}}, {Volumes: []string{"~/" + dir + ":/mnt"}}} {
			o.Name, o.Isolated = "b", true
			_, err := m.newSpec(o)
			if (err != nil) != refused || refused && (!errors.Is(err, fail.Usage) || !strings.Contains(err.Error(), "cannot be shared: it is in "+home+"/src,")) {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, home+"/src/job", unix.AT_FDCWD, home+"/src/out", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 5000 {
		if _, err := m.newSpec(CreateOptions{Name: "b", Isolated: true, Share: []string{"~/src/job"}}); !errors.Is(err, fail.Usage) && !errors.Is(err, unix.ENOENT) {
			t.Fatalf("exchanged: %v", err)
		}
	}
	close(stop)
	<-ended
}

// TestX50_Follow: what a path leads to is what the kernel says.
func TestX50_Follow(t *testing.T) {
	h := sharingHost(t)
	top := filepath.Dir(filepath.Dir(h.RealHome))
	for _, path := range []string{h.Home, h.Home + "/src/way/way/it", top + "/elsewhere/fine", top + "/elsewhere/fine/..", top + "/elsewhere/home/../jane/.ssh", "/", "/proc/self/../self", top + "/elsewhere/./keys//"} {
		want, _ := filepath.EvalSymlinks(path)
		if got, _, err := follow(path); err != nil || got != want {
			t.Errorf("%s: %s, %v, not %s", path, got, err, want)
		}
	}
	for path, want := range map[string]error{top + "/elsewhere/loop": unix.ELOOP, top + "/nothing": unix.ENOENT, top + "/elsewhere/file/x": unix.ENOTDIR} {
		if got, _, err := follow(path); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}

// TestX10_Volumes: what would make of a directory something else than it is.
func TestX10_Volumes(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	for _, v := range []string{"~/src:/mnt:O", "~/src:/mnt:ro,O", "~/src:/mnt:U", "~/src:/mnt:idmap", "~/src:/mnt:dev", "cache:/mnt:dev", "~/src:/run", "cache:/run", "~/src:/run/tbx", "cache:/run/tbx/box/x"} {
		if _, err := m.newSpec(CreateOptions{Isolated: true, Volumes: []string{v}}); !errors.Is(err, fail.Usage) {
			t.Errorf("%s: %v", v, err)
		}
	}
	for _, v := range []string{"~/src:/mnt:ro", "~/src:/mnt:z,noexec", "cache:/run/cache", "cache:/running"} {
		if _, err := m.newSpec(CreateOptions{Isolated: true, Volumes: []string{v}}); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
}

// TestX4_Storage: podman's storage is not shared, wherever it is.
func TestX4_Storage(t *testing.T) {
	s := testSpec()
	s.Isolated, s.Share = true, []string{"/srv/work"}
	for table, refused := range map[string]bool{
		"/srv/work/containers/overlay-containers/containers.json": true,
		"/srv/work/overlay-containers/containers.json":            true,
		"/srv/overlay-containers/containers.json":                 true,
		"/srv/works/overlay-containers/containers.json":           false,
	} {
		if err := checkStorage(s, &Container{NamesTable: table}); (err != nil) != refused {
			t.Errorf("%s: %v", table, err)
		}
	}
}

// TestX7_BoxFiles: a file that is not what its directory's name says is replaced,
// however it came there, and one that is stays.
func TestX7_BoxFiles(t *testing.T) {
	top := t.TempDir()
	program, dir := filepath.Join(top, "tbx-box"), filepath.Join(top, "box")
	if err := os.WriteFile(program, []byte("the program"), 0o755); err != nil {
		t.Fatal(err)
	}
	version, err := installBox(dir, program)
	if err != nil {
		t.Fatal(err)
	}
	target := boxPath(dir, version)
	inode := func() os.FileInfo {
		t.Helper()
		id, err := os.Lstat(target)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := inode()
	if _, err := installBox(dir, program); err != nil || !os.SameFile(before, inode()) {
		t.Errorf("a good file was replaced: %v", err)
	}
	for name, spoil := range map[string]func() error{
		"written to":   func() error { return os.WriteFile(target, []byte("the pr0gram"), 0o755) },
		"a link":       func() error { return errors.Join(os.Remove(target), os.Symlink(program, target)) },
		"not to run":   func() error { return os.Chmod(target, 0o644) },
		"gone":         func() error { return os.RemoveAll(filepath.Dir(target)) },
		"huge":         func() error { return os.Truncate(target, 1<<35) },
		"cut":          func() error { return os.Truncate(target, 3) },
		"a named pipe": func() error { return errors.Join(os.Remove(target), unix.Mkfifo(target, 0o755)) },
	} {
		for what, again := range map[string]func() error{
			"installed": func() error { _, err := installBox(dir, program); return err },
			"restored":  func() error { return restoreBox(dir, program, []string{boxPath("/run/tbx/box", version), "pause"}) },
		} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			if err := again(); err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if data, err := os.ReadFile(target); err != nil || string(data) != "the program" || inode().Mode() != 0o755 {
				t.Errorf("%s, %s: %q, %v", name, what, data, err)
			}
		}
	}
	// An earlier version's place: this one's program will do, another will not.
	old := boxPath(dir, "0123456789abcdef")
	for _, content := range []string{"planted", ""} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(old), 0o755), os.WriteFile(old, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := restoreBox(dir, program, []string{boxPath("/run/tbx/box", "0123456789abcdef")}); err != nil {
				t.Error(err)
			}
		}
		if data, _ := os.ReadFile(old); string(data) != "the program" {
			t.Errorf("%q", data)
		}
	}
}
