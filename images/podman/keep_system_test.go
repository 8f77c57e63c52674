//go:build system

package podman_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	imageregistry "github.com/tbx-project/tbx/images/registry"
	"github.com/tbx-project/tbx/internal/fail"
)

func TestKeepHouse(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, true)
	small := pushSmall(m, r)
	ctx := context.Background()
	auth := m.path("home/.config/containers/auth.json")
	m.run("podman", "login", "--authfile", auth, "--username", user, "--password", password, r.host)
	client, err := imageregistry.New(imageregistry.UserFiles(m.path("home"), "", func(string) string { return "" }))
	if err != nil {
		t.Fatal(err)
	}
	img, err := m.store.Pull(ctx, small, images.PullOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}

	// The registry itself is asked, with its CA and login, once for each name.
	if err := m.store.Tag(ctx, img.ID, "localhost/mine"); err != nil {
		t.Fatal(err)
	}
	list, err := m.store.List(ctx)
	if err != nil || len(list) != 1 || list[0].ID != img.ID || list[0].Size == 0 ||
		!slices.Contains(list[0].Names, small) || !slices.Contains(list[0].Names, "localhost/mine:latest") {
		t.Fatalf("%+v, %v", list, err)
	}
	r.took()
	got := images.Outdated(ctx, client, list, images.OutdatedOptions{})
	if len(got) != 1 || got[0].Err != nil || got[0].Newer || got[0].Digest == "" {
		t.Errorf("up to date: %+v", got)
	}
	if took := r.took(); !slices.Equal(took, []string{"HEAD /v2/team/small/manifests/1", "HEAD /v2/team/small/manifests/1"}) {
		t.Errorf("requests %q: want the challenge and the answer", took)
	}
	if size, err := client.Size(ctx, small, ""); err != nil || size < 100 || size > 10000 {
		t.Errorf("size %d, %v", size, err)
	}
	// Somebody pushes another image under the name.
	m.write("hello", "hello again\n")
	m.run("tar", "-C", m.dir, "-cf", m.path("small.tar"), "hello")
	m.run("podman", "import", "--quiet", m.path("small.tar"), "localhost/other")
	m.run("podman", "push", "--quiet", "localhost/other", small)
	if got := images.Outdated(ctx, client, list, images.OutdatedOptions{}); len(got) != 1 || !got[0].Newer {
		t.Errorf("a newer one: %+v", got)
	}

	// What a container needs stays.
	m.run("podman", "create", "--name", "web", img.ID, "true")
	users, err := m.store.Users(ctx)
	if err != nil || !slices.Equal(users[img.ID], []string{"web"}) {
		t.Errorf("users %v, %v", users, err)
	}
	if err := images.Remove(ctx, m.store, "localhost/mine:latest"); err != nil {
		t.Errorf("one of two names: %v", err)
	}
	if err := images.Remove(ctx, m.store, small); err == nil || !strings.Contains(err.Error(), "in use by web") {
		t.Errorf("in use: %v", err)
	}
	unused, err := images.Unused(ctx, m.store, true)
	if err != nil || len(unused) != 1 || unused[0].Names[0] != "localhost/other:latest" {
		t.Errorf("unused %+v, %v", unused, err)
	}
	if gone, err := images.Prune(ctx, m.store, unused); err != nil || len(gone) != 1 {
		t.Errorf("gone %+v, %v", gone, err)
	}
	m.run("podman", "rm", "web")
	if err := images.Remove(ctx, m.store, small); err != nil {
		t.Error(err)
	}
	if err := images.Remove(ctx, m.store, small); !errors.Is(err, fail.NotFound) {
		t.Errorf("twice: %v", err)
	}
	if free, err := m.store.Free(ctx); err != nil || free < 1<<20 {
		t.Errorf("free %d, %v", free, err)
	}
}

// Preparing is what doubles an image's size on disk, and only the first time.
func TestPrepareDoublesTheSizeOnce(t *testing.T) {
	m := newMachine(t, "")
	m.run("podman", "import", "--quiet", "--change", `CMD ["/bin/bash"]`, debianTar(), "localhost/debian:12")
	ctx := context.Background()
	var sizes, costs []int64
	for range 3 {
		img, err := m.store.Inspect(ctx, "localhost/debian:12")
		if err != nil {
			t.Fatal(err)
		}
		cost, err := m.store.PrepareCost(ctx, img)
		if err != nil {
			t.Fatal(err)
		}
		sizes, costs = append(sizes, img.Size), append(costs, cost)
		if err := m.store.Prepare(ctx, img.ID); err != nil {
			t.Fatal(err)
		}
	}
	if sizes[1] < sizes[0]*19/10 || sizes[2] != sizes[1] {
		t.Errorf("sizes %d", sizes)
	}
	if !slices.Equal(costs, []int64{sizes[0], 0, 0}) {
		t.Errorf("announced %d of %d", costs, sizes)
	}
	if out := m.run("podman", "ps", "--all", "--external", "--quiet"); out != "" {
		t.Errorf("containers are left: %s", out)
	}
}
