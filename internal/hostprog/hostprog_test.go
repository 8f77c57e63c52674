package hostprog

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// I12: no program is taken from where the caller happens to stand.
func TestI12_Look(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	put := func(path string, mode os.FileMode) string {
		path = filepath.Join(work, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("prog", 0o755)
	put("sub/prog", 0o755)
	put("plain/prog", 0o644)
	put("dir/prog/x", 0o755)
	want := put("good/prog", 0o755)
	t.Setenv("GODEBUG", "execerrdot=0") // by which Go's own look-up would take it
	for _, before := range []string{"", ".", "sub", "./sub", "..", work + "/plain", work + "/dir", work + "/none"} {
		t.Setenv("PATH", before+":"+work+"/good")
		if got, err := Look("prog"); err != nil || got != want {
			t.Errorf("behind %q: %q, %v", before, got, err)
		}
		t.Setenv("PATH", before)
		if got, err := Look("prog"); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("in %q alone: %q, %v", before, got, err)
		}
	}
}

// I13: what of the caller's environment would lead podman elsewhere.
func TestI13_PodmanEnv(t *testing.T) {
	keep := []string{"HOME=/h", "PATH=/bin", "CONTAINERS_CONF=/c", "http_proxy=p", "LDX=1", "TBX_FOO=1", "XDG_RUNTIME_DIR=/run/user/1000"}
	drop := []string{"LD_PRELOAD=/x.so", "LD_LIBRARY_PATH=/x", "DOCKER_HOST=tcp://h", "CONTAINER_HOST=ssh://h", "CONTAINER_CONNECTION=c", "NOTIFY_SOCKET=/n", "LISTEN_FDS=1", "GODEBUG=x=1", "BASH_ENV=/x"}
	want := keep
	if account := Account(); account != "" {
		want = append(slices.Clone(keep), "USER="+account, "LOGNAME="+account)
	}
	if got := PodmanEnv(slices.Concat(drop, keep)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// D4: podman takes USER for the account, and a stale one leaves it with one id.
func TestD4_StaleUser(t *testing.T) {
	account := Account()
	if account == "" {
		t.Skip("the user has no name")
	}
	got := PodmanEnv([]string{"USER=nobody-else", "A=1", "LOGNAME=nobody-else"})
	if want := []string{"A=1", "USER=" + account, "LOGNAME=" + account}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := nameOf([]byte("a:x:10:1::/:/bin/sh\nb:x:1:1::/:/bin/sh\nc:x:1:1::/:/bin/sh\n"), "1"); got != "b" {
		t.Errorf("%q is user 1", got)
	}
}

// D5: TMPDIR that is missing, a file, relative or closed.
func TestD5_BadTmpdir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{filepath.Join(dir, "none"), file, "tmp"} {
		env := []string{"A=1", "TMPDIR=" + bad}
		if got := BadTmpdir(env); got != bad {
			t.Errorf("TMPDIR=%s is taken for good: %q", bad, got)
		}
		if got := PodmanEnv(env); slices.Contains(got, "TMPDIR="+bad) {
			t.Errorf("podman gets TMPDIR=%s", bad)
		}
	}
	for _, good := range []string{dir, ""} {
		if got := BadTmpdir([]string{"TMPDIR=" + good}); got != "" {
			t.Errorf("TMPDIR=%q is taken for bad", good)
		}
	}
}
