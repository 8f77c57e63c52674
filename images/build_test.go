package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

func newBuild(t *testing.T, path, tag string, args map[string]string) images.Build {
	t.Helper()
	b, err := images.NewBuild(path, tag, args)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBuildsAreNamedByTheirContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My Tools")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "Containerfile")
	write(t, file, "FROM debian\nRUN true\n", 0o644)
	first := newBuild(t, dir, "", nil)
	if !strings.HasPrefix(first.Tag, "localhost/tbx/build/my-tools:") || first.File != file || first.Context != "" {
		t.Errorf("%+v", first)
	}
	write(t, filepath.Join(dir, "note"), "1", 0o644)
	if again := newBuild(t, file, "", nil); again.Hash != first.Hash {
		t.Error("a file that nothing copies changes the hash")
	}
	seen := map[string]string{first.Hash: "first"}
	differs := func(what string, b images.Build) {
		t.Helper()
		if seen[b.Hash] != "" {
			t.Errorf("%s: the same hash as %s", what, seen[b.Hash])
		}
		seen[b.Hash] = what
	}
	differs("an argument", newBuild(t, dir, "", map[string]string{"A": "1"}))
	write(t, file, "FROM debian\n  copy note /\n", 0o644)
	differs("copying", newBuild(t, dir, "", nil))
	write(t, filepath.Join(dir, "note"), "2", 0o644)
	differs("content", newBuild(t, dir, "", nil))
	if err := os.Chmod(filepath.Join(dir, "note"), 0o755); err != nil {
		t.Fatal(err)
	}
	differs("executable", newBuild(t, dir, "", nil))
	if err := os.Rename(filepath.Join(dir, "note"), filepath.Join(dir, "nota")); err != nil {
		t.Fatal(err)
	}
	differs("name", newBuild(t, dir, "", nil))
	if err := os.Symlink("nota", filepath.Join(dir, "note")); err != nil {
		t.Fatal(err)
	}
	differs("link", newBuild(t, dir, "", nil))
}

func TestNewBuildErrors(t *testing.T) {
	if _, err := images.NewBuild(t.TempDir(), "", nil); !errors.Is(err, fail.NotFound) {
		t.Errorf("no file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	write(t, file, "FROM x\n", 0o644)
	for _, tag := range []string{"Bad Tag", hex64, "a@sha256:" + hex64} {
		if _, err := images.NewBuild(file, tag, nil); !errors.Is(err, fail.Usage) {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
}

func TestEnsureBuiltBuildsOnce(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	write(t, file, "FROM x\n", 0o644)
	store := &memory{names: map[string]string{}}
	ensure := func() {
		t.Helper()
		if _, err := images.EnsureBuilt(context.Background(), store, newBuild(t, file, "localhost/x:1", nil), state, nil); err != nil {
			t.Fatal(err)
		}
	}
	ensure()
	ensure()
	if !slices.Equal(store.calls, []string{"build Containerfile in .", "prepare"}) {
		t.Errorf("did %q", store.calls)
	}
	rec, _, err := images.ProvenancesIn(state).Load(hex64)
	if err != nil || rec.Origin != images.OriginBuild {
		t.Fatalf("%+v, %v", rec, err)
	}
	if changed, _, err := rec.Build.Changed(); changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
	write(t, file, "FROM y\n", 0o644)
	if changed, _, err := rec.Build.Changed(); !changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
	ensure()
	if len(store.calls) != 4 {
		t.Errorf("did %q", store.calls)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if changed, _, err := rec.Build.Changed(); changed || err != nil {
		t.Errorf("gone: changed %t, %v", changed, err)
	}
}
