package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// verify builds an image of what was written, and returns in what it differs from the lock
// file. Neither the image nor a toolbox of it stays.
func (f *freezing) verify(ctx context.Context) (differences []string, err error) {
	// One name for all of a toolbox's, by which the next removes what a killed one left.
	id := sha256.Sum256([]byte(f.lock.Toolbox))
	b, err := images.NewBuild(f.request.Dir, "localhost/tbx/freeze:"+hex.EncodeToString(id[:6]), nil)
	if err != nil {
		return nil, err
	}
	store, err := f.p.Store(ctx)
	if err != nil {
		return nil, err
	}
	f.say("building an image of it, to compare")
	img, err := store.Build(ctx, b, func(ev images.Event) { // which is no image to keep, so there is no record of it
		if f.request.Said != nil && ev.Stage == images.StageBuild {
			f.request.Said("", ev.Text)
		}
	})
	if err != nil {
		return nil, fail.Wrap(nil, err, "%s and %s are written, and no image could be built of them", containerfile, lockFile).
			Hint("a version that repositories have no more cannot be installed: tbx upgrade %s, and freeze it again", f.lock.Toolbox).
			Hint("to take it unproven: --no-verify")
	}
	defer func() {
		err = errors.Join(err, store.Remove(context.WithoutCancel(ctx), b.Tag))
	}()
	f.say("comparing it with toolbox " + f.lock.Toolbox)
	return f.compare(ctx, toolbox.Image{Reference: b.Tag, ID: img.ID, Env: img.Env})
}

// compare starts the image and looks at what is in it.
func (f *freezing) compare(ctx context.Context, img toolbox.Image) (differences []string, err error) {
	d, err := f.p.Toolboxes.Draft(toolbox.CreateOptions{Name: "freeze"})
	if err != nil {
		return nil, err
	}
	t, err := f.p.Toolboxes.Ephemeral(ctx, d, img)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close(ctx)) }()
	if f.old != nil {
		if differences, err = f.comparePackages(ctx, t); err != nil {
			return nil, err
		}
	}
	files, err := f.compareFiles(ctx, t)
	return append(differences, files...), err
}

func (f *freezing) comparePackages(ctx context.Context, t *toolbox.Ephemeral) ([]string, error) {
	room, err := t.Room(ctx)
	if err != nil {
		return nil, err
	}
	s, err := packages.Open(ctx, func(ctx context.Context, c packages.Command, out, errs io.Writer) (int, error) {
		return room.Run(ctx, c.Args, c.Env, out, errs)
	})
	if err != nil {
		return nil, err
	}
	has, err := s.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	built := &Frozen{}
	built.system(s, has, &packages.Wanted{})
	return samePackages(f.lock, built), nil
}

// samePackages says in what two differ.
func samePackages(want, is *Frozen) []string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(want.Packages)) {
		switch v := is.Packages[n]; v {
		case want.Packages[n]:
		case "":
			out = append(out, "package "+n+" is not there")
		default:
			out = append(out, fmt.Sprintf("package %s is %s, and was %s", n, v, want.Packages[n]))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(is.Packages)) {
		if want.Packages[n] == "" {
			out = append(out, "package "+n+" is there, and was not")
		}
	}
	for _, l := range []struct {
		what     string
		want, is []string
	}{
		{"package that was asked for", want.Asked, is.Asked}, {"held package", want.Held, is.Held},
		{"architecture", want.Architectures, is.Architectures}, {"alternative", want.Alternatives, is.Alternatives},
	} {
		for _, w := range l.want {
			if !slices.Contains(l.is, w) {
				out = append(out, l.what+" "+w+" is not one")
			}
		}
		for _, w := range l.is {
			if !slices.Contains(l.want, w) {
				out = append(out, l.what+" "+w+" was not one")
			}
		}
	}
	return out
}

func (f *freezing) compareFiles(ctx context.Context, t *toolbox.Ephemeral) ([]string, error) {
	find := &carry.Find{Exactly: []string{}}
	for _, e := range f.lock.Files {
		find.Exactly = append(find.Exactly, e.Path)
	}
	find.Exactly = append(find.Exactly, f.lock.Removed...)
	if len(find.Exactly) == 0 {
		return nil, nil
	}
	a, err := t.Carry(ctx, &carry.Order{Dry: true, Find: find})
	if err != nil {
		return nil, err
	}
	is := map[string]*carry.Found{}
	for i := range a.Found {
		is[a.Found[i].Path] = &a.Found[i]
	}
	var out []string
	for _, e := range f.lock.Files {
		switch got := is[e.Path]; {
		case got == nil || got.Type == carry.TypeRemoved:
			out = append(out, "file "+e.Path+" is not there")
		case frozenFile(got) != e:
			out = append(out, "file "+e.Path+" differs")
		}
	}
	for _, p := range f.lock.Removed {
		if got := is[p]; got != nil && got.Type != carry.TypeRemoved {
			out = append(out, "file "+p+" is there, and was not")
		}
	}
	return out, nil
}
