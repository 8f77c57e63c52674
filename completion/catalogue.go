package completion

import (
	"maps"
	"slices"
)

// Distro is a distribution of the catalogue.
type Distro struct {
	Name     string
	Releases []string          // that the catalogue knows
	Suites   map[string]string // release to the mirror's name of it; nil: no bootstrap
}

// Distros offers the distributions.
func Distros(all []Distro) []Item {
	var out []Item
	for _, d := range all {
		out = append(out, Item{Word: d.Name})
	}
	return out
}

// Releases offers the releases of the distribution name.
func Releases(all []Distro, name string) []Item {
	for _, d := range all {
		if d.Name == name {
			return Words(d.Releases...)
		}
	}
	return nil
}

// Bootstraps offers the distributions that can be made without a registry, with and
// without a release.
func Bootstraps(all []Distro) []Item {
	var out []Item
	for _, d := range all {
		if d.Suites == nil {
			continue
		}
		out = append(out, Item{Word: d.Name})
		for _, release := range slices.Sorted(maps.Keys(d.Suites)) {
			out = append(out, Item{d.Name + ":" + release, d.Suites[release]})
		}
	}
	return out
}
