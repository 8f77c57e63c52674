package xdg

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// I10: a runtime directory that others could change is passed over, and the last
// resort is refused if it is not ours alone.
func TestI10_RuntimeDirectory(t *testing.T) {
	uid := os.Getuid()
	work := t.TempDir()
	made := func(mode os.FileMode, parts ...string) string {
		dir := filepath.Join(append([]string{work}, parts...)...)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	link := func(to string) string {
		path := filepath.Join(work, "link-to-"+strings.ReplaceAll(to, "/", "-"))
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := made(0o700, "good")
	others := "/proc/1" // root's, and somebody else's for root: see below
	if uid == 0 {
		others = made(0o700, "others")
		if err := os.Chown(others, 65534, -1); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(work, "file")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	run, tmp := made(0o755, "run"), made(0o1777, "tmp")
	usual := made(0o700, "run", strconv.Itoa(uid))
	for name, c := range map[string]struct{ asked, want string }{
		"good":                {good, good},
		"readable by others":  {made(0o755, "readable"), filepath.Join(work, "readable")},
		"unset":               {"", usual},
		"relative":            {"good", usual},
		"missing":             {filepath.Join(work, "missing"), usual},
		"a file":              {file, usual},
		"another's":           {others, usual},
		"link to another's":   {link(others), usual},
		"link to one's own":   {link(good), usual},
		"link, then a slash":  {link(made(0o700, "own")) + "/", usual},
		"writable by all":     {made(0o777, "open"), usual},
		"sticky, by all":      {made(0o1777, "sticky"), usual},
		"writable by a group": {made(0o770, "group"), usual},
		"newline":             {made(0o700, "a\nb"), usual},
	} {
		if got, err := runtimeBase(uid, c.asked, run, tmp); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}

	none := made(0o755, "nothing")
	last := filepath.Join(tmp, "tbx-runtime-"+strconv.Itoa(uid))
	for range 2 { // made, and found
		if got, err := runtimeBase(uid, "", none, tmp); err != nil || got != last {
			t.Errorf("%q, %v, want %q", got, err, last)
		}
	}
	if fi, err := os.Stat(last); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", fi, err)
	}
	for name, put := range map[string]func() error{
		"open":         func() error { os.Mkdir(last, 0o700); return os.Chmod(last, 0o750) },
		"a link":       func() error { return os.Symlink(good, last) },
		"a file":       func() error { return os.WriteFile(last, nil, 0o600) },
		"a dead link":  func() error { return os.Symlink("nowhere", last) },
		"to another's": func() error { return os.Symlink(others, last) },
	} {
		os.RemoveAll(last)
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if got, err := runtimeBase(uid, "", none, tmp); err == nil || !strings.Contains(err.Error(), last) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
