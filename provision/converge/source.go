package converge

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/images"
)

// sourceKey is what a declaration says that a toolbox is made from, for comparison.
func sourceKey(s declare.Source) (string, error) {
	switch {
	case s.Containerfile != "":
		b, err := images.NewBuild(s.Containerfile, "", nil)
		return "containerfile " + b.Hash, err
	case s.Image != "":
		return "image " + s.Image, nil
	case s.Distro != "":
		return "distro " + s.Distro + ":" + s.Release, nil
	}
	return "release " + s.Release, nil
}

// sameSource says whether a toolbox is made from what is declared. known says that its
// record has what was declared when it was made; else its image is looked at.
func (c *Converger) sameSource(ctx context.Context, s *Step, known bool) (bool, error) {
	key, err := sourceKey(s.want.Source)
	if err != nil {
		return false, err
	}
	if known {
		return key == s.record.Source, nil
	}
	source := s.want.Source
	if source == (declare.Source{}) {
		return true, nil // whatever it is
	}
	if source.Containerfile != "" {
		b, err := images.NewBuild(source.Containerfile, "", nil)
		return b.Tag == s.box.Spec.Image, err
	}
	choice, err := c.Provisioner.Choose(ctx, images.Request{Image: source.Image, Distro: source.Distro, Release: source.Release})
	if err != nil {
		return false, err
	}
	return slices.Contains([]string{choice.Reference, choice.Local}, s.box.Spec.Image), nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", uint32(mode)) }
