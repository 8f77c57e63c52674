package ostree

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// bootEntry is one entry of the boot loader, as ostree writes them (Boot Loader
// Specification, type 1). The highest version boots.
type bootEntry struct {
	version    int
	title      string
	options    []string
	deployment string // <stateroot>/deploy/<checksum>.<serial>
}

// bootEntries reads <sysroot>/boot/loader/entries in boot order; nil where they
// may not be read.
func (b *Backend) bootEntries() []bootEntry {
	files, _ := filepath.Glob(filepath.Join(b.sysroot, "boot/loader/entries/ostree-*.conf")) // the pattern is constant: no error
	var out []bootEntry
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if e, ok := parseEntry(string(data)); ok {
			e.deployment = b.entryTarget(e.options)
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b bootEntry) int { return b.version - a.version })
	return out
}

func parseEntry(text string) (e bootEntry, ok bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		switch key {
		case "version":
			n, err := strconv.Atoi(value)
			if err != nil {
				return e, false
			}
			e.version, ok = n, true
		case "title":
			e.title = value
		case "options":
			e.options = strings.Fields(value)
		}
	}
	return e, ok
}

var deployLink = pattern.Lazy(`([^/]+)/deploy/([0-9a-f]{64}\.\d+)$`)

// entryTarget follows ostree=, a link to the deployment.
func (b *Backend) entryTarget(options []string) string {
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, "ostree="); ok {
			target, err := filepath.EvalSymlinks(filepath.Join(b.sysroot, v))
			if m := deployLink().FindStringSubmatch(target); err == nil && m != nil {
				return m[0]
			}
		}
	}
	return ""
}

func (e *bootEntry) kargs() []string {
	return slices.DeleteFunc(slices.Clone(e.options), func(o string) bool { return strings.HasPrefix(o, "ostree=") })
}

// complete fills in what the listing lacks: kernel arguments, and deployments
// that ostree left out because it stopped at one without a signature.
func (b *Backend) complete(list []osupdate.Deployment, stopped bool) []osupdate.Deployment {
	for _, e := range b.bootEntries() {
		root, name, ok := strings.Cut(e.deployment, "/deploy/")
		if !ok {
			continue
		}
		i := slices.IndexFunc(list, func(d osupdate.Deployment) bool { return d.ID == root+"-"+name })
		if i < 0 && stopped {
			checksum, _, _ := strings.Cut(name, ".")
			d := osupdate.Deployment{ID: root + "-" + name, Stateroot: root, Checksum: checksum}
			if o := b.origin(&d); o != nil {
				d.Tracks, d.Pinned = o.Tracks(), o.Get("libostree-transient", "pinned") == "true"
			}
			list, i = append(list, d), len(list)
		}
		if i >= 0 {
			list[i].Kargs = e.kargs()
		}
	}
	return list
}

// origin reads a deployment's origin file; nil when it cannot be.
func (b *Backend) origin(d *osupdate.Deployment) *osupdate.Origin {
	_, name, ok := strings.Cut(d.ID, d.Stateroot+"-")
	if !ok {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(b.sysroot, "ostree/deploy", d.Stateroot, "deploy", name+".origin"))
	if err != nil {
		return nil
	}
	o, err := osupdate.ParseOrigin(data)
	if err != nil {
		return nil
	}
	return o
}
