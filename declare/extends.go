package declare

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth is how many toolboxes may extend each other in a row.
const maxDepth = 16

// merged is a toolbox with what it extends. by are those that extend it, the first first.
func (p *parser) merged(name string, by []string) (*entry, error) {
	if e := p.whole[name]; e != nil {
		return e, nil
	}
	own := p.doc.Toolbox[name]
	if own.Extends == "" {
		p.whole[name] = own
		return own, nil
	}
	by = append(by, name)
	line := p.text.Line("toolbox", name, "extends")
	switch {
	case slices.Contains(by, own.Extends):
		return nil, p.bad(line, "toolbox %s extends itself: %s", own.Extends, strings.Join(append(by, own.Extends), " extends "))
	case p.doc.Toolbox[own.Extends] == nil:
		e := p.bad(line, "extends: the file has no toolbox %q", own.Extends)
		return nil, didYouMean(e, own.Extends, slices.Sorted(maps.Keys(p.doc.Toolbox)))
	}
	base, err := p.merged(own.Extends, by)
	if err != nil {
		return nil, err
	}
	if p.depth[name] = p.depth[own.Extends] + 1; p.depth[name] > maxDepth {
		return nil, p.bad(line, "more than %d toolboxes extend each other", maxDepth).Hint("let some extend the first of them")
	}
	p.whole[name] = extended(own, base)
	return p.whole[name], nil
}

// extended is own with what base has more: single values of own count before those of base,
// and lists are joined.
func extended(own, base *entry) *entry {
	e := *own
	switch {
	case own.Image != "", own.Distro != "", own.Containerfile != "":
	default:
		e.Image, e.Distro, e.Containerfile = base.Image, base.Distro, base.Containerfile
		e.Release = cmp.Or(own.Release, base.Release)
		if own.Release != "" {
			e.Image, e.Containerfile = "", ""
		}
	}
	e.Hostname, e.Home = cmp.Or(own.Hostname, base.Hostname), cmp.Or(own.Home, base.Home)
	e.Memory, e.CPUs, e.ShmSize = cmp.Or(own.Memory, base.Memory), cmp.Or(own.CPUs, base.CPUs), cmp.Or(own.ShmSize, base.ShmSize)
	e.Pids = cmp.Or(own.Pids, base.Pids)
	e.Isolated, e.NoNetwork, e.GPU = own.Isolated || base.Isolated, own.NoNetwork || base.NoNetwork, own.GPU || base.GPU

	e.Volumes = joined(base.Volumes, own.Volumes, targetOf)
	e.Env = joined(base.Env, own.Env, func(kv string) string { return before(kv, "=") })
	e.Share = joined(base.Share, own.Share, func(s string) string { return before(s, ":") })
	whole := func(s string) string { return s }
	e.Without, e.Packages = joined(base.Without, own.Without, whole), joined(base.Packages, own.Packages, whole)
	e.Setup, e.SetupUser = joined(base.Setup, own.Setup, whole), joined(base.SetupUser, own.SetupUser, whole)

	e.PackagesFor = maps.Clone(base.PackagesFor)
	for manager, names := range own.PackagesFor {
		if e.PackagesFor == nil {
			e.PackagesFor = map[string][]string{}
		}
		e.PackagesFor[manager] = joined(e.PackagesFor[manager], names, whole)
	}
	e.Files = maps.Clone(base.Files)
	if e.Files == nil {
		e.Files = map[string]*file{}
	}
	maps.Copy(e.Files, own.Files)
	if e.Exports == nil {
		e.Exports = base.Exports
	}
	return &e
}

// joined is base and own after it; what has the key of something in base takes its place.
func joined(base, own []string, key func(string) string) []string {
	out := slices.Clone(base)
	for _, v := range own {
		if i := slices.IndexFunc(out, func(have string) bool { return key(have) == key(v) }); i >= 0 {
			out[i] = v
			continue
		}
		out = append(out, v)
	}
	return out
}

func before(s, sep string) string {
	first, _, _ := strings.Cut(s, sep)
	return first
}

// targetOf is where a volume is mounted.
func targetOf(volume string) string {
	parts := strings.Split(volume, ":")
	if len(parts) < 2 {
		return volume
	}
	return filepath.Clean(parts[1])
}
