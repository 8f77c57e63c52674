package images

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Remove removes the image of ref, or only that name if the image has others. It refuses
// an image that has containers.
func Remove(ctx context.Context, store Store, ref string) error {
	img, err := store.Inspect(ctx, ref)
	if err != nil {
		return err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	if by := users[img.ID]; len(by) > 0 && len(img.Names) <= 1 {
		return fail.New(nil, "image %s: it is in use by %s", escape.Text(ref), escape.Text(strings.Join(by, ", "))).
			Hint("remove what uses it first")
	}
	return store.Remove(ctx, ref)
}

// Unused lists the images that Prune would remove: those without a name that no container
// is made from, and with all, those with a name too.
func Unused(ctx context.Context, store Store, all bool) ([]Image, error) {
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	users, err := store.Users(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(i Image) bool {
		return len(users[i.ID]) > 0 || len(i.Names) > 0 && !all
	}), nil
}

// Prune removes those images, each with all its names, and returns the removed ones.
// Images that came into use meanwhile stay: podman refuses to remove them.
func Prune(ctx context.Context, store Store, unused []Image) ([]Image, error) {
	var gone []Image
	var failed error
	for _, img := range unused {
		refs := img.Names
		if len(refs) == 0 {
			refs = []string{img.ID}
		}
		var err error
		for _, ref := range refs {
			err = errors.Join(err, store.Remove(ctx, ref))
		}
		if err == nil {
			gone = append(gone, img)
		}
		failed = errors.Join(failed, err)
	}
	return gone, failed
}

// Staleness is the answer to: does a registry have a newer image under this name?
type Staleness struct {
	Reference string    `json:"reference"`
	Image     string    `json:"image"`   // ID of the one that is here
	Digest    string    `json:"digest"`  // the registry's digest for the name; "" without an answer
	Newer     bool      `json:"newer"`   // that differs from the local one
	Checked   time.Time `json:"checked"` // when the registry said so
	Err       error     `json:"-"`       // why there was no answer
}

// OutdatedOptions are the choices of Outdated.
type OutdatedOptions struct {
	CacheFile string        // answers of registries, kept from call to call
	MaxAge    time.Duration // how old a kept answer may be; 0 asks anew
}

// Outdated asks, once for each name and several at a time, whether there is a newer
// image. Names without a registry are left out. If a registry does not answer, only that
// entry has an Err, and an older answer is used.
func Outdated(ctx context.Context, registry Registry, list []Image, opts OutdatedOptions) []Staleness {
	type answer struct {
		Digest  string    `json:"digest"`
		Checked time.Time `json:"checked"`
	}
	kept := map[string]answer{}
	if data, err := os.ReadFile(opts.CacheFile); err == nil {
		// A cache that does not parse is no cache.
		if json.Unmarshal(data, &kept) != nil {
			kept = map[string]answer{}
		}
	}
	var out []Staleness
	for _, img := range list {
		for _, name := range img.Names {
			if ref, err := ParseRef(name); err == nil && !ref.Local() && !ref.Short() && ref.Tag != "" {
				out = append(out, Staleness{Reference: name, Image: img.ID})
			}
		}
	}
	digests := map[string][]string{}
	for _, img := range list {
		digests[img.ID] = img.Digests
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8) // few enough for a registry, enough to hide its latency
	for i := range out {
		s := &out[i]
		old, known := kept[s.Reference]
		s.Digest, s.Checked = old.Digest, old.Checked
		if known && time.Since(old.Checked) < opts.MaxAge {
			continue
		}
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			digest, err := registry.Digest(ctx, s.Reference)
			if s.Err = err; err == nil {
				s.Digest, s.Checked = digest, time.Now().UTC().Truncate(time.Second)
			}
		})
	}
	wait.Wait()
	for i := range out {
		s := &out[i]
		if s.Digest == "" {
			continue
		}
		s.Newer = !slices.ContainsFunc(digests[s.Image], func(d string) bool { return strings.HasSuffix(d, "@"+s.Digest) })
		kept[s.Reference] = answer{s.Digest, s.Checked}
	}
	if data, err := json.Marshal(kept); err == nil && opts.CacheFile != "" {
		// A cache that cannot be written costs a request, no more.
		_ = atomicfile.Write(opts.CacheFile, data, 0o600)
	}
	return out
}
