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
	if got := PodmanEnv(slices.Concat(drop, keep)); !slices.Equal(got, keep) {
		t.Errorf("%q, want %q", got, keep)
	}
}
