package images_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// memory is a store that remembers names and notes each call.
type memory struct {
	names   map[string]string // reference → ID
	pullErr error
	prepErr error
	list    []images.Image
	users   map[string][]string
	free    int64
	cost    int64  // of the preparation
	policy  []byte // what the last pull had to obey
	calls   []string
}

func (m *memory) Inspect(_ context.Context, ref string) (images.Image, error) {
	if id := m.names[ref]; id != "" {
		return images.Image{ID: id, Names: []string{ref}}, nil
	}
	for _, img := range m.list {
		if img.ID == ref || slices.Contains(img.Names, ref) {
			return img, nil
		}
	}
	return images.Image{}, fail.New(fail.NotFound, "image %s", ref)
}

func (m *memory) Pull(_ context.Context, ref string, opts images.PullOptions, _ images.Progress) (images.Image, error) {
	if opts.SignaturePolicy != "" {
		var err error
		if m.policy, err = os.ReadFile(opts.SignaturePolicy); err != nil {
			return images.Image{}, err
		}
	}
	m.calls = append(m.calls, "pull")
	if m.pullErr != nil {
		return images.Image{}, images.PullFailure(ref, m.pullErr)
	}
	m.names[ref] = hex64
	return images.Image{ID: hex64}, nil
}

func (m *memory) Import(_ context.Context, tar io.Reader, ref string, changes []string) (images.Image, error) {
	data, err := io.ReadAll(tar)
	if err != nil {
		return images.Image{}, err
	}
	m.calls = append(m.calls, "import "+string(data)+" "+changes[0])
	m.names[ref] = hex64
	return images.Image{ID: hex64}, nil
}

func (m *memory) Build(_ context.Context, b images.Build, _ images.Progress) (images.Image, error) {
	m.calls = append(m.calls, "build "+filepath.Base(b.File)+" in "+filepath.Base(b.Context))
	m.names[b.Tag] = hex64
	return images.Image{ID: hex64, Names: []string{b.Tag}}, nil
}

func (m *memory) List(context.Context) ([]images.Image, error) { return m.list, nil }

func (m *memory) Users(context.Context) (map[string][]string, error) { return m.users, nil }

func (m *memory) Remove(_ context.Context, ref string) error {
	m.calls = append(m.calls, "remove "+ref)
	return nil
}

func (m *memory) Tag(_ context.Context, id, ref string) error {
	m.names[ref] = id
	return nil
}

func (m *memory) Untag(_ context.Context, _, ref string) error {
	m.calls = append(m.calls, "untag "+ref)
	return nil
}

func (m *memory) Free(context.Context) (int64, error) { return m.free, nil }

func (m *memory) PrepareCost(context.Context, images.Image) (int64, error) { return m.cost, nil }

func (m *memory) Prepare(context.Context, string) error {
	m.calls = append(m.calls, "prepare")
	return m.prepErr
}

const (
	debianRef   = "docker.io/library/debian:12"
	debianLocal = "localhost/tbx/debian:12"
)

var errNoRoute = errors.New("dial tcp: lookup registry-1.docker.io: no such host")

func TestEnsure(t *testing.T) {
	tool := fakeTool(t, `printf root; exit 0`)
	for name, c := range map[string]struct {
		here    string // reference that is in the store
		image   string // instead of Debian
		policy  images.PullPolicy
		pullErr error
		no      bool // to every question
		calls   []string
		kind    error // of the error; nil for none
		hint    string
	}{
		"present: no network":                  {here: debianRef},
		"bootstrapped: no network":             {here: debianLocal},
		"present and never":                    {here: debianRef, policy: images.PullNever},
		"missing":                              {calls: []string{"ask pull", "pull", "prepare"}},
		"missing and no":                       {no: true, calls: []string{"ask pull"}, kind: fail.Canceled},
		"missing and never":                    {policy: images.PullNever, kind: fail.NotFound, hint: "--pull never"},
		"always":                               {here: debianRef, policy: images.PullAlways, calls: []string{"pull", "prepare"}},
		"always, unreachable":                  {here: debianRef, policy: images.PullAlways, pullErr: errNoRoute, calls: []string{"pull"}, kind: images.ErrUnreachable},
		"newer, unreachable: what is there":    {here: debianRef, policy: images.PullNewer, pullErr: errNoRoute, calls: []string{"pull"}},
		"newer, denied":                        {here: debianRef, policy: images.PullNewer, pullErr: errors.New("unauthorized"), calls: []string{"pull"}, kind: images.ErrDenied, hint: "podman login docker.io"},
		"unreachable: bootstrap":               {pullErr: errNoRoute, calls: []string{"ask pull", "pull", "ask bootstrap", "import root CMD [\"/bin/bash\"]", "prepare"}},
		"unreachable and unknown image":        {image: "registry.example.org/x:1", pullErr: errNoRoute, calls: []string{"ask pull", "pull"}, kind: fail.Unable, hint: "registries.conf"},
		"no such tag: no bootstrap":            {pullErr: errors.New("manifest unknown"), calls: []string{"ask pull", "pull"}, kind: fail.NotFound},
		"local name missing: no registry":      {image: "localhost/mine:1", kind: fail.NotFound, hint: "tbx image list"},
		"local name and always: what is there": {image: "localhost/mine:1", here: "localhost/mine:1", policy: images.PullAlways},
		"ID missing":                           {image: hex64, kind: fail.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			cat := catalogue(t, tool)
			ch, err := cat.Resolve(images.Request{Image: c.image}, debian12)
			if err != nil {
				t.Fatal(err)
			}
			store := &memory{names: map[string]string{c.here: hex64}, pullErr: c.pullErr}
			img, err := images.Ensure(context.Background(), store, ch, images.EnsureOptions{
				Policy: c.policy,
				Ask: func(q images.Question) (bool, error) {
					store.calls = append(store.calls, "ask "+string(q.Kind))
					return !c.no, nil
				},
				Bootstrap: images.BootstrapOptions{StateDir: t.TempDir(), TempDir: t.TempDir()},
			})
			if !slices.Equal(store.calls, c.calls) {
				t.Errorf("did %q, want %q", store.calls, c.calls)
			}
			if c.kind == nil && (err != nil || img.ID != hex64) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%+v, %v, want kind %v", img, err, c.kind)
			}
			if !strings.Contains(strings.Join(fail.Hints(err), "\n"), c.hint) {
				t.Errorf("hints %q, want %q", fail.Hints(err), c.hint)
			}
		})
	}
}

// The image is here, and its mapped layers found no room.
func TestPrepareOntoAFullDisk(t *testing.T) {
	store := &memory{names: map[string]string{}, prepErr: errors.New("creating container storage: write /x: no space left on device")}
	_, err := images.Fetcher{Store: store, StateDir: t.TempDir()}.Pull(context.Background(), debianRef, images.PullOptions{})
	if !errors.Is(err, images.ErrDiskFull) || !errors.Is(err, fail.Unable) || !strings.Contains(strings.Join(fail.Hints(err), ""), "make room") {
		t.Errorf("%v, hints %q", err, fail.Hints(err))
	}
	// Where it could not find any, it is not begun; nor where nobody wants it.
	store = &memory{names: map[string]string{}, cost: 80, free: 90}
	_, err = images.Fetcher{Store: store, StateDir: t.TempDir()}.Pull(context.Background(), debianRef, images.PullOptions{})
	if !errors.Is(err, images.ErrDiskFull) || slices.Contains(store.calls, "prepare") {
		t.Errorf("%v, calls %q", err, store.calls)
	}
	if _, err = (images.Fetcher{Store: store, StateDir: t.TempDir()}).Pull(context.Background(), debianRef, images.PullOptions{Unprepared: true}); err != nil || slices.Contains(store.calls, "prepare") {
		t.Errorf("%v, calls %q", err, store.calls)
	}
}

func TestEnsureWithoutTheTool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	one := images.Override{Path: "test", Data: []byte("[distro.debian.bootstrap]\ntools = [\"mmdebstrap\"]\n")} // debootstrap is found without PATH
	ch, err := catalogue(t, one).Resolve(images.Request{}, debian12)
	if err != nil {
		t.Fatal(err)
	}
	_, err = images.Ensure(context.Background(), &memory{names: map[string]string{}, pullErr: errNoRoute}, ch,
		images.EnsureOptions{Ask: func(images.Question) (bool, error) { return true, nil }})
	hints := strings.Join(fail.Hints(err), "\n")
	if !errors.Is(err, images.ErrUnreachable) || !strings.Contains(hints, "the program mmdebstrap is not installed") {
		t.Errorf("%v, hints %q", err, hints)
	}
}

// fakeTool puts an mmdebstrap of that shell script on PATH, and gives a
// catalogue override whose keyring exists.
func fakeTool(t *testing.T, script string) images.Override {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mmdebstrap"), "#!/bin/sh\n"+script+"\n", 0o755)
	keyring := filepath.Join(dir, "keyring.gpg")
	write(t, keyring, "", 0o644)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return images.Override{Path: "test", Data: []byte("[distro.debian.bootstrap]\nkeyrings = [\"" + keyring + "\"]\n")}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// preparing is a store that tells when two prepare an image at once.
type preparing struct {
	memory
	inside atomic.Int32
	second chan struct{}
}

func (p *preparing) Pull(context.Context, string, images.PullOptions, images.Progress) (images.Image, error) {
	return images.Image{ID: hex64}, nil
}

func (p *preparing) Prepare(context.Context, string) error {
	if p.inside.Add(1) > 1 {
		close(p.second)
		return errors.New("somebody prepares it already")
	}
	defer p.inside.Add(-1)
	select {
	case <-p.second:
	case <-time.After(200 * time.Millisecond): // for the other to come
	}
	return nil
}

// Two pulls of one image at once. podman would refuse the second preparation,
// and without its container the first would fail.
func TestTwoPullsPrepareOneByOne(t *testing.T) {
	store, dir := &preparing{second: make(chan struct{})}, t.TempDir()
	var failed [2]error
	var wait sync.WaitGroup
	for i := range failed {
		wait.Go(func() {
			_, failed[i] = images.Fetcher{Store: store, StateDir: dir}.Pull(context.Background(), "r.org/a:1", images.PullOptions{})
		})
	}
	wait.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		t.Error(err)
	}
}

// throttled is a registry that asks everybody to slow down.
type throttled struct{}

func (throttled) Digest(_ context.Context, ref string) (string, error) {
	return "", images.PullFailure(ref, images.ErrThrottled)
}

func (throttled) Size(_ context.Context, ref, _ string) (int64, error) {
	return 0, images.PullFailure(ref, images.ErrThrottled)
}

// podman is silent while it waits as a 429 told it to, which looks like a stall.
func TestEnsureThrottled(t *testing.T) {
	store := &memory{names: map[string]string{}, pullErr: images.ErrStalled}
	_, err := images.Ensure(context.Background(), store, images.Choice{Reference: "registry.example.org/x:1"}, images.EnsureOptions{
		Ask:       func(images.Question) (bool, error) { return true, nil },
		Registry:  throttled{},
		Bootstrap: images.BootstrapOptions{StateDir: t.TempDir()},
		Progress:  func(images.Event) {},
	})
	if !errors.Is(err, images.ErrThrottled) || len(fail.Hints(err)) != 1 || !strings.Contains(fail.Hints(err)[0], "wait, or log in") {
		t.Errorf("%v, hints %q", err, fail.Hints(err))
	}
}
