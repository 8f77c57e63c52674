package join

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// inside makes a Target whose root is a directory with these directories, links
// (name, target) and programs.
func inside(t *testing.T, r *Record, dirs []string, links [][2]string, programs ...string) *Target {
	t.Helper()
	root := t.TempDir()
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range links {
		if err := os.Symlink(l[1], filepath.Join(root, l[0])); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range programs {
		write(t, filepath.Join(root, p), "")
		if err := os.Chmod(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	target := &Target{Record: r, root: fd}
	t.Cleanup(target.Close)
	return target
}

func TestWorkDir(t *testing.T) {
	r := &Record{Home: "/home/jane", HostFiles: true, Mounts: []Mapping{
		{"/home/jane", "/home/jane"}, {"/srv", "/data"}, {"/srv/deep", "/deeper"}, {"/gone", "/gone"},
	}}
	target := inside(t, r,
		[]string{"/home/jane/src", "/data/x", "/deeper/y", "/opt", "/run/host/only/there", "/run/host/gone", "/tmp"},
		[][2]string{{"/home/jane/up", "../../../../../../opt"}, {"/home/jane/abs", "/opt"}, {"/home/jane/loop", "loop"}})
	for _, c := range []struct {
		cwd, want string
		where     Where
	}{
		{"/home/jane", "/home/jane", TheSame},
		{"/home/jane/src", "/home/jane/src", TheSame},
		{"/srv/x", "/data/x", TheSame},
		{"/srv/deep/y", "/deeper/y", TheSame},
		{"/srv/deeper", "", Nowhere},
		{"/opt", "/opt", TheSame},
		{"/only/there", "/run/host/only/there", TheSame},
		{"/gone", "/run/host/gone", TheSame},
		{"/nowhere", "", Nowhere},
		{"/home/jane/up", "/home/jane/up", TheSame}, // leads to the root inside, never out of it
		{"/home/jane/abs", "/home/jane/abs", TheSame},
		{"/home/jane/loop", "", Nowhere},
	} {
		if got, where := target.WorkDir(c.cwd, c.cwd, nil); got != c.want || where != c.where {
			t.Errorf("%s: %s, %v; want %s, %v", c.cwd, got, where, c.want, c.where)
		}
	}
	r.HostFiles = false
	if got, where := target.WorkDir("/only/there", "/only/there", nil); where != Nowhere {
		t.Errorf("without the host view: %s, %v", got, where)
	}
}

// D6: a directory that is shared but another one inside is not taken for the caller's.
func TestD6_AnotherDirectory(t *testing.T) {
	r := &Record{Home: "/home/jane", HostFiles: true, Mounts: []Mapping{{"/home/jane", "/home/jane"}}}
	target := inside(t, r, []string{"/home/jane/disk", "/home/jane/lost", "/run/host/home/jane/disk", "/run/host/opt", "/opt"}, nil)
	stat := func(path string) *unix.Stat_t {
		t.Helper()
		fd, err := target.open(path, unix.O_PATH)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		return &st
	}
	for _, c := range []struct {
		cwd, as, want string
		where         Where
	}{
		{"/home/jane/disk", "/home/jane/disk", "/home/jane/disk", TheSame},
		{"/home/jane/disk", "/run/host/home/jane/disk", "/run/host/home/jane/disk", TheSame}, // a mount that is missing inside
		{"/home/jane/lost", "/run/host/home/jane/disk", "", Nowhere},
		{"/opt", "/opt", "/opt", TheSame},
		{"/opt", "/run/host/opt", "/opt", OfThePath},
	} {
		if got, where := target.WorkDir(c.cwd, c.cwd, stat(c.as)); got != c.want || where != c.where {
			t.Errorf("%s, which is %s: %s, %v; want %s, %v", c.cwd, c.as, got, where, c.want, c.where)
		}
	}

	// By a link of the host's that is a directory of the toolbox's own.
	for _, c := range []struct {
		way, cwd, as, want string
		where              Where
	}{
		{"/opt", "/home/jane/disk", "/home/jane/disk", "/home/jane/disk", TheSame},
		{"/opt", "/run/host/opt", "/run/host/opt", "/run/host/opt", TheSame},
		{"/opt", "/home/jane/lost", "/run/host/home/jane/disk", "", Nowhere},
		{"/home/jane/disk", "/elsewhere", "/home/jane/disk", "/home/jane/disk", TheSame}, // the way is kept where it can be
	} {
		if got, where := target.WorkDir(c.way, c.cwd, stat(c.as)); got != c.want || where != c.where {
			t.Errorf("%s by %s, which is %s: %s, %v; want %s, %v", c.cwd, c.way, c.as, got, where, c.want, c.where)
		}
	}
}

func TestLookPath(t *testing.T) {
	target := inside(t, &Record{}, []string{"/usr/bin/dir", "/work"}, [][2]string{{"/usr/bin/sh", "/bin/dash"}, {"/usr/bin/dangling", "/bin/none"}},
		"/bin/dash", "/work/tool", "/usr/bin/plain")
	for _, c := range []struct {
		command, path, dir string
		want               error
	}{
		{"sh", "/usr/bin", "/", nil},
		{"dash", "/usr/bin", "/", fs.ErrNotExist},
		{"dash", "/usr/bin:/bin", "/", nil},
		{"dir", "/usr/bin", "/", fs.ErrPermission},
		{"dangling", "/usr/bin", "/", fs.ErrNotExist},
		{"/bin/dash", "", "/", nil},
		{"./tool", "", "/work", nil},
		{"./tool", "", "/", fs.ErrNotExist},
		{"tool", "/bin:", "/work", nil}, // as execvp(3) has it for an empty entry
		{"tool", "/bin:.", "/work", nil},
		{"tool", "/bin", "/work", fs.ErrNotExist},
		{"../../../../bin/dash", "", "/work", nil},
	} {
		if got := target.LookPath(c.command, []string{"PATH=/none", "PATH=" + c.path}, c.dir); !errors.Is(got, c.want) {
			t.Errorf("%s in PATH=%q from %s: %v", c.command, c.path, c.dir, got)
		}
	}
}

func TestSplitUnit(t *testing.T) {
	for _, c := range []struct{ cgroup, unit, below string }{
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ab.scope/container", "libpod-ab.scope", "/container"},
		{"/user.slice/libpod-ab.scope", "libpod-ab.scope", ""},
		{"/tbx-lab/user/ab", "", ""},
		{"/", "", ""},
		{"", "", ""},
	} {
		if unit, below := splitUnit(c.cgroup); unit != c.unit || below != c.below {
			t.Errorf("%s: %q, %q", c.cgroup, unit, below)
		}
	}
}
