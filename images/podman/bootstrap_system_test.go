//go:build system

package podman_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/internal/fail"
)

// debian12 is what --distro debian:12 comes to.
func debian12() (images.Choice, error) {
	cat, err := images.LoadCatalogue()
	if err != nil {
		return images.Choice{}, err
	}
	return cat.Resolve(images.Request{Distro: "debian:12"}, images.HostOS{})
}

// No registry answers, so Ensure offers to make Debian from its package mirror.
func TestEnsureBootstrapsDebianWithoutRegistry(t *testing.T) {
	m := newMachine(t, "[[registry]]\nlocation = \"docker.io\"\nblocked = false\n[[registry.mirror]]\nlocation = \"127.0.0.1:9\"\n")
	ch, err := debian12()
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	var asked []images.QuestionKind
	var seen events
	opts := images.EnsureOptions{
		Ask: func(q images.Question) (bool, error) {
			asked = append(asked, q.Kind)
			return true, nil
		},
		Bootstrap: images.BootstrapOptions{StateDir: state, TempDir: m.open("tmp")},
		Progress:  seen.add,
	}
	img, err := images.Ensure(context.Background(), m.store, ch, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []images.QuestionKind{images.AskPull, images.AskBootstrap}) {
		t.Errorf("asked %v", asked)
	}
	if !slices.Contains(img.Names, "localhost/tbx/debian:12") || !slices.Equal(img.Cmd, []string{"/bin/bash"}) {
		t.Errorf("image %+v", img)
	}
	for _, stage := range []images.Stage{images.StageConnect, images.StageBootstrap, images.StagePrepare} {
		if !seen.has(func(e images.Event) bool { return e.Stage == stage }) {
			t.Errorf("no progress of stage %s", stage)
		}
	}
	if out := m.run("podman", "run", "--rm", "--network=none", "--cgroups=disabled", img.ID, "sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME; sudo -V | head -1"); !strings.HasPrefix(out, "bookworm\nSudo version") {
		t.Errorf("inside: %s", out)
	}
	if out := m.run("podman", "ps", "--all", "--external", "--quiet"); out != "" {
		t.Errorf("containers are left: %s", out)
	}
	left, _ := filepath.Glob(m.path("tmp/*"))
	if len(left) > 0 {
		t.Errorf("left on disk: %s", left)
	}
	record, ok, err := images.ProvenancesIn(state).Load(img.ID)
	if r := record.Bootstrap; err != nil || !ok || r.Suite != "bookworm" || r.Mode != "unshare" ||
		r.Packages["sudo"] == "" || r.Packages["dpkg"] == "" || r.Keyring == "" || len(r.Sources) != 3 {
		t.Errorf("record %+v, %v", record, err)
	}
	// The second call finds it, without a question.
	asked = nil
	again, err := images.Ensure(context.Background(), m.store, ch, opts)
	if err != nil || again.ID != img.ID || asked != nil {
		t.Errorf("again: %s, %v, asked %v", again.ID, err, asked)
	}
}

// A mirror whose signature the keyring does not hold is refused.
func TestBootstrapRefusesAnUnknownSigner(t *testing.T) {
	m := newMachine(t, "")
	cat, err := images.LoadCatalogue(images.Override{Path: "o", Data: []byte("[distro.debian.bootstrap]\nkeyrings = [\"/usr/share/keyrings/debian-archive-removed-keys.gpg\"]\n")})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := cat.Resolve(images.Request{Distro: "debian", Release: "12"}, images.HostOS{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = images.Bootstrap(context.Background(), m.store, ch, images.BootstrapOptions{StateDir: t.TempDir(), TempDir: m.open("tmp")}, nil)
	if err == nil || !strings.Contains(err.Error(), "mmdebstrap says") {
		t.Errorf("error %v", err)
	}
	if _, err := m.store.Inspect(context.Background(), ch.Local); !errors.Is(err, fail.NotFound) {
		t.Errorf("after a failed bootstrap: %v", err)
	}
}

// TestMain lets this binary stand for a tbx that is killed in a bootstrap.
func TestMain(m *testing.M) {
	if socket := os.Getenv("TBX_TEST_BOOTSTRAP"); socket != "" {
		os.Exit(bootstrapUntilKilled(socket))
	}
	os.Exit(m.Run())
}

func bootstrapUntilKilled(socket string) int {
	store := podman.New(client(socket))
	ch, err := debian12()
	if err != nil {
		return 1
	}
	_, err = images.Bootstrap(context.Background(), store, ch, images.BootstrapOptions{StateDir: os.Getenv("TBX_TEST_STATE"), TempDir: os.Getenv("TBX_TEST_TMP")},
		func(e images.Event) {
			if strings.HasPrefix(e.Text, "extracting archives") {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// After SIGKILL the tool ends by itself, nothing is in the store, and the next
// bootstrap removes what is left on disk.
func TestBootstrapKilled(t *testing.T) {
	m := newMachine(t, "")
	state, tmp := t.TempDir(), m.open("tmp")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TBX_TEST_BOOTSTRAP="+m.path("podman.sock"), "TBX_TEST_STATE="+state, "TBX_TEST_TMP="+tmp)
	var said strings.Builder
	cmd.Stderr = &said
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("not killed: %v\n%s", err, said.String())
	}
	// The kernel told the tool.
	m.await(func() error {
		if out, err := exec.Command("pgrep", "--uid", strconv.Itoa(os.Getuid()), "--full", "mmdebstrap --format=tar").Output(); err == nil {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
	if list, err := m.store.List(context.Background()); err != nil || len(list) > 0 {
		t.Errorf("store %+v, %v", list, err)
	}
	ch, err := debian12()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tmp, fmt.Sprintf("tbx-bootstrap-%d-left", os.Getuid()), "x"), 0o711); err != nil {
		t.Fatal(err)
	}
	m.run("podman", "unshare", "chown", "-R", "5:5", filepath.Join(tmp, fmt.Sprintf("tbx-bootstrap-%d-left", os.Getuid()), "x"))
	// The next one clears away first; it need not come to its end here.
	ctx, cancel := context.WithCancel(context.Background())
	_, err = images.Bootstrap(ctx, m.store, ch, images.BootstrapOptions{StateDir: state, TempDir: tmp}, func(images.Event) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(tmp + "/*"); left != nil {
		t.Errorf("left %s", left)
	}
}

// Ctrl-C in the middle leaves nothing in the store and nothing on disk.
func TestBootstrapCanceled(t *testing.T) {
	m := newMachine(t, "")
	tmp := m.open("tmp")
	ch, err := debian12()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err = images.Bootstrap(ctx, m.store, ch, images.BootstrapOptions{StateDir: t.TempDir(), TempDir: tmp}, func(e images.Event) {
		if strings.HasPrefix(e.Text, "installing essential packages") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(tmp + "/*"); left != nil {
		t.Errorf("left %s", left)
	}
	if list, err := m.store.List(context.Background()); err != nil || len(list) > 0 {
		t.Errorf("store %+v, %v", list, err)
	}
}
