package images_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

func TestRemoveRefusesWhatIsInUse(t *testing.T) {
	store := &memory{users: map[string][]string{"1": {"web"}}, list: []images.Image{
		{ID: "1", Names: []string{"localhost/a:1"}},
		{ID: "2", Names: []string{"localhost/b:1"}},
	}}
	err := images.Remove(context.Background(), store, "localhost/a:1")
	if err == nil || !strings.Contains(err.Error(), "in use by web") || !slices.Contains(fail.Hints(err), "remove what uses it first") {
		t.Errorf("%v %q", err, fail.Hints(err))
	}
	if err := images.Remove(context.Background(), store, "localhost/c:1"); !errors.Is(err, fail.NotFound) {
		t.Errorf("%v", err)
	}
	if err := images.Remove(context.Background(), store, "localhost/b:1"); err != nil || !slices.Equal(store.calls, []string{"remove localhost/b:1"}) {
		t.Errorf("%v, did %q", err, store.calls)
	}
	// One of two names may go while the image is in use.
	store.list[0].Names = append(store.list[0].Names, "localhost/a:2")
	if err := images.Remove(context.Background(), store, "localhost/a:2"); err != nil {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	store := &memory{users: map[string][]string{"1": {"web"}, "3": {"x"}}, list: []images.Image{
		{ID: "1", Names: []string{"localhost/a:1"}}, {ID: "2", Names: []string{"localhost/b:1", "localhost/b:2"}}, {ID: "3"}, {ID: "4"},
	}}
	for all, want := range map[bool][]string{false: {"remove 4"}, true: {"remove localhost/b:1", "remove localhost/b:2", "remove 4"}} {
		store.calls = nil
		unused, err := images.Unused(context.Background(), &memory{users: store.users, list: slices.Clone(store.list)}, all)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := images.Prune(context.Background(), store, unused)
		if err != nil || len(gone) != len(unused) || !slices.Equal(store.calls, want) {
			t.Errorf("all %t: %q, %v", all, store.calls, err)
		}
	}
}

// answers is a registry of fixed digests and one size.
type answers struct {
	mu     sync.Mutex
	digest map[string]string
	size   int64
	asked  []string
}

func (a *answers) Digest(_ context.Context, ref string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, ref)
	if d := a.digest[ref]; d != "" {
		return d, nil
	}
	return "", images.PullFailure(ref, images.ErrUnreachable)
}

func (a *answers) Size(context.Context, string, string) (int64, error) { return a.size, nil }

func TestOutdated(t *testing.T) {
	list := []images.Image{
		{ID: "1", Names: []string{"r.org/a:1"}, Digests: []string{"r.org/a@sha256:old", "r.org/a@sha256:list"}},
		{ID: "2", Names: []string{"r.org/b:1"}, Digests: []string{"r.org/b@sha256:old"}},
		{ID: "3", Names: []string{"r.org/gone:1"}},
		{ID: "4", Names: []string{"localhost/x:1"}},
		{ID: "5"},
	}
	reg := &answers{digest: map[string]string{"r.org/a:1": "sha256:list", "r.org/b:1": "sha256:new"}}
	opts := images.OutdatedOptions{CacheFile: filepath.Join(t.TempDir(), "digests.json"), MaxAge: time.Hour}
	check := func(when string, asked int) {
		t.Helper()
		reg.asked = nil
		got := images.Outdated(context.Background(), reg, list, opts)
		if len(got) != 3 || got[0].Newer || !got[1].Newer || got[1].Checked.IsZero() || !errors.Is(got[2].Err, images.ErrUnreachable) || got[2].Newer {
			t.Errorf("%s: %+v", when, got)
		}
		if len(reg.asked) != asked {
			t.Errorf("%s: asked for %q", when, reg.asked)
		}
	}
	check("first", 3)
	check("again: answers are kept, failures are not", 1)
	reg.digest, opts.MaxAge = nil, 0
	got := images.Outdated(context.Background(), reg, list, opts)
	if !got[1].Newer || got[1].Err == nil {
		t.Errorf("offline the older answer counts: %+v", got[1])
	}
}

func TestEnsureWeighsTheDownload(t *testing.T) {
	ch := images.Choice{Reference: "r.org/a:1"}
	var asked images.Question
	opts := images.EnsureOptions{Registry: &answers{size: 100 << 20}, Ask: func(q images.Question) (bool, error) {
		asked = q
		return false, nil
	}}
	store := &memory{names: map[string]string{}, free: 200 << 20}
	if _, err := images.Ensure(context.Background(), store, ch, opts); !errors.Is(err, images.ErrDiskFull) || !strings.Contains(err.Error(), "more than 314.6 MB and there are 209.7 MB") {
		t.Errorf("error %v", err)
	}
	store.free = 1 << 30
	if _, err := images.Ensure(context.Background(), store, ch, opts); !errors.Is(err, fail.Canceled) || asked.Bytes != 100<<20 || asked.Free != 1<<30 {
		t.Errorf("error %v, asked %+v", err, asked)
	}
}
