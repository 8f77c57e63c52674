package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// E92: how far up a declaration is looked for.
func TestE92_Find(t *testing.T) {
	home := t.TempDir()
	deep := filepath.Join(home, "src/p/a/b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, FileName), "")
	if got := Find(deep, home); got != "" {
		t.Errorf("found in the home: %s", got)
	}
	if got := Find(home, home); got != filepath.Join(home, FileName) {
		t.Errorf("standing in the home: %q", got)
	}
	file := write(t, filepath.Join(home, "src/p", FileName), "")
	if got := Find(deep, home); got != file {
		t.Errorf("%q", got)
	}
	if got := Find(filepath.Join(home, "src"), home); got != "" {
		t.Errorf("beside: %q", got)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(home, "src/p/a"), 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if got := Find(deep, home); got != "" {
			t.Errorf("above a directory of somebody else: %q", got)
		}
	}
	if got := Find("/proc/self", "/root"); got != "" {
		t.Errorf("in /proc: %q", got)
	}
}

// E93: what is trusted is a content at a path.
func TestE93_Permits(t *testing.T) {
	p := PermitsIn(t.TempDir())
	file := write(t, filepath.Join(t.TempDir(), FileName), "one")
	says := func(want string) {
		t.Helper()
		permit, err := p.Allowed(file)
		switch {
		case want == "" && (err != nil || permit.Enter != "dev"):
			t.Errorf("%+v, %v", permit, err)
		case want != "" && (!errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), want) || !strings.Contains(strings.Join(fail.Hints(err), " "), "tbx allow")):
			t.Errorf("%v instead of %s", err, want)
		}
	}
	says("is not allowed")
	if err := p.Allow(Permit{Path: file, Hash: Hash([]byte("one")), Enter: "dev"}); err != nil {
		t.Fatal(err)
	}
	says("")
	write(t, file, "two")
	says("has changed since")
	write(t, file, "one")
	says("")
	other := write(t, filepath.Join(t.TempDir(), FileName), "one")
	if _, err := p.Allowed(other); !errors.Is(err, fail.Unable) {
		t.Errorf("the same content elsewhere: %v", err)
	}
	if was, err := p.Deny(file); !was || err != nil {
		t.Error(was, err)
	}
	says("is not allowed")
	if was, err := p.Deny(file); was || err != nil {
		t.Error(was, err)
	}
	// A permit that is cut is none.
	if err := os.WriteFile(p.file(file), []byte(`{"path":"`), 0o600); err != nil {
		t.Fatal(err)
	}
	says("is not allowed")
}

// E93: files that are not read at all.
func TestE93_Read(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "real"), "x")
	link := filepath.Join(dir, FileName)
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	refused := func(path, why string) {
		t.Helper()
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", path, err)
		}
	}
	refused(link, "it is a link")
	refused(dir, "not a regular file")
	refused(filepath.Join(dir, "none"), "there is no file")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	refused(file, "everybody may write")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<30); err != nil {
		t.Fatal(err)
	}
	refused(file, "larger than")
	if os.Getuid() == 0 {
		if err := os.Truncate(file, 1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		refused(file, "belongs to user 12345")
	}
}
