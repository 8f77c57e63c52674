//go:build system

package podman_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

func TestBuild(t *testing.T) {
	m := newMachine(t, "")
	// Builds in a lab without a cgroup of the user's own need no container.
	t.Setenv("BUILDAH_ISOLATION", "chroot")
	m.run("podman", "import", "--quiet", "--change", `CMD ["/bin/bash"]`, debianTar(), "localhost/debian:12")
	state := t.TempDir()
	build := func(text string) (images.Image, events, error) {
		t.Helper()
		m.write("Containerfile", text)
		b, err := images.NewBuild(m.path("Containerfile"), "localhost/mine:1", map[string]string{"WHO": "tbx"})
		if err != nil {
			t.Fatal(err)
		}
		var seen events
		img, err := images.EnsureBuilt(context.Background(), m.store, b, state, seen.add)
		return img, seen, err
	}
	good := "FROM localhost/debian:12\nARG WHO\nRUN echo hello $WHO | tee /greeting\n"
	img, seen, err := build(good)
	if err != nil {
		t.Fatal(err)
	}
	if !seen.has(func(e images.Event) bool { return e.Stage == images.StageBuild && e.Text == "hello tbx" }) {
		t.Errorf("no live output in %+v", seen)
	}
	if out := m.run("podman", "run", "--rm", "--network=none", "--cgroups=disabled", img.ID, "cat", "/greeting"); out != "hello tbx" {
		t.Errorf("inside: %s", out)
	}
	if again, seen, err := build(good); err != nil || again.ID != img.ID || len(seen) > 0 {
		t.Errorf("again: %v, %+v", err, seen)
	}
	_, _, err = build(good + "RUN echo it broke >&2; exit 7\n")
	hints := strings.Join(fail.Hints(err), "\n")
	if err == nil || !strings.Contains(err.Error(), "4/4: RUN echo it broke") || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(hints, "it broke") {
		t.Errorf("a failing step: %v\n%s", err, hints)
	}
	if now, err := m.store.Inspect(context.Background(), "localhost/mine:1"); err != nil || now.ID != img.ID {
		t.Errorf("a failed build moved the name: %v", err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	m.write("Containerfile", good+"RUN echo slow; sleep 1000\n")
	b, err := images.NewBuild(m.path("Containerfile"), "localhost/mine:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = images.EnsureBuilt(ctx, m.store, b, state, func(e images.Event) {
		if e.Text == "slow" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := images.NewBuild(m.path("nowhere"), "", nil); !errors.Is(err, fail.NotFound) {
		t.Errorf("no file: %v", err)
	}
}

// Our own recipes for Debian and Ubuntu, from a Debian that is here and the package
// mirror: Ubuntu's packages have the same names.
func TestRecipes(t *testing.T) {
	m := newMachine(t, "")
	t.Setenv("BUILDAH_ISOLATION", "chroot")
	m.run("podman", "import", "--quiet", "--change", `CMD ["/bin/bash"]`, debianTar(), "localhost/debian:12")
	for _, recipe := range []string{"debian", "ubuntu"} {
		b, err := images.NewBuild("../containerfiles/"+recipe, "", map[string]string{"BASE": "localhost/debian:12"})
		if err != nil {
			t.Fatal(err)
		}
		img, err := images.EnsureBuilt(context.Background(), m.store, b, t.TempDir(), nil)
		if err != nil {
			t.Fatal(recipe, err, fail.Hints(err))
		}
		if out := m.run("podman", "run", "--rm", "--network=none", "--cgroups=disabled", img.ID, "sh", "-c", "git --version; man -w ls"); !strings.HasPrefix(out, "git version") {
			t.Errorf("inside %s: %s", recipe, out)
		}
	}
}
