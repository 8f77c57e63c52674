package rpmostree

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

func (b *Backend) install(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	c := s.Head().Changes
	left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool {
		return c.Requested(n) || strings.HasPrefix(n, "/") && slices.Contains(c.Local, osupdate.FileOf(n))
	})
	for _, name := range left {
		if !strings.HasPrefix(name, "/") {
			continue
		}
		if fi, err := os.Stat(name); err != nil || !fi.Mode().IsRegular() {
			return fail.New(osupdate.ErrNotFound, "install: there is no package file %s", name).
				Hint("name one that is there: ls %s", filepath.Dir(name))
		}
	}
	if len(left) == 0 {
		p.Unchanged = "the packages are as asked for already"
		return nil
	}
	p.Network = true
	b.step(p, "layer "+strings.Join(left, ", ")+" on the base, now and at every upgrade",
		append([]string{"install", "--assumeyes", "--idempotent", "--allow-inactive"}, left...)...)
	return nil
}

func (b *Backend) uninstall(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	c := s.Head().Changes
	left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool { return !c.Requested(n) })
	if len(left) == 0 {
		p.Unchanged = "the packages are as asked for already"
		return nil
	}
	p.Network = true
	b.step(p, "remove "+strings.Join(left, ", ")+" from the layers", append([]string{"uninstall", "--assumeyes"}, left...)...)
	return nil
}

func (b *Backend) replace(_ context.Context, _ *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if r.From == "" {
		return fail.New(fail.Usage, "override-replace: from which repository").
			Hint("name it: tbx host override replace --from updates PACKAGE…")
	}
	p.Network = true
	b.step(p, "replace "+strings.Join(r.Packages, ", ")+" of the base by those of "+r.From,
		append([]string{"override", "replace", "--experimental", "--from", "repo=" + r.From}, r.Packages...)...)
	return nil
}

func (b *Backend) remove(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	c := s.Head().Changes
	left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool { return slices.Contains(c.Removed, n) })
	if len(left) == 0 {
		p.Unchanged = "the base lacks them already"
		return nil
	}
	b.step(p, "remove "+strings.Join(left, ", ")+" from the base", append([]string{"override", "remove"}, left...)...)
	return nil
}

func (b *Backend) reset(_ context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	c := s.Head().Changes
	overridden := slices.Concat(c.Removed, c.Replaced)
	left := slices.DeleteFunc(slices.Clone(r.Packages), func(n string) bool {
		return !slices.ContainsFunc(overridden, func(o string) bool { return o == n || osupdate.PackageName(o) == n })
	})
	switch {
	case len(overridden) == 0:
		p.Unchanged = "nothing of the base is overridden"
	case len(r.Packages) == 0:
		b.step(p, "take every overridden package from the base again", "override", "reset", "--all")
	case len(left) == 0:
		p.Unchanged = "these packages are not overridden"
	default:
		b.step(p, "take "+strings.Join(left, ", ")+" from the base again", append([]string{"override", "reset"}, left...)...)
	}
	return nil
}

// comeAlong says what of a host a move to an image brings along, and how to take it off.
func comeAlong(c *osupdate.Changes) string {
	on := slices.Concat(c.Layered, c.Inactive, c.Local, c.Replaced, c.Removed)
	for _, f := range c.Files {
		on = append(on, f+" in the initramfs")
	}
	off := "tbx host uninstall, tbx host override reset"
	if c.Initramfs {
		on, off = append(on, "an initramfs made on this host"), off+", tbx host initramfs disable"
	}
	return "what is layered, overridden or made here comes along: " + strings.Join(on, ", ") +
		"; where the image has it, take it off first: " + off
}
