package ostreefamily

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// Loader is what the boot loader's entries and the staged deployment of a sysroot
// say. It is what boots, whatever an updater shows.
type Loader struct {
	Entries []Entry // in boot order: the first one boots by default; none where they may not be read
	Staged  *Staged // nil: nothing is staged, or the sysroot is not the running one
	Soft    bool    // a soft reboot is prepared
	Written Written // when the entries were written
}

// Entry is one entry of the boot loader, as ostree writes them (Boot Loader
// Specification, type 1).
type Entry struct {
	ID      string            // of the deployment: <stateroot>-<checksum>.<serial>
	Title   string            //
	Kargs   []string          // without ostree=
	Version int               // the highest boots
	Sources map[string]string // arguments by who set them: x-options-source-NAME of bootc
}

// Staged is the deployment that waits for the shutdown.
type Staged struct {
	Known   bool     // its file could be read
	Locked  bool     // it is not applied until it is unlocked
	Kargs   []string // nil where they are not known
	Sources map[string]string
}

// Written says when the boot loader's entries were written last.
type Written int

// When.
const (
	WrittenUnknown   Written = iota
	WrittenBefore            // before this boot: the machine could have started the first entry
	WrittenThisBoot          // in this boot
	WrittenForSystem         // in this boot, and the system of the first entry was made in it
)

// ReadLoader reads the loader of the sysroot, "/" for the running host below root.
// It only reads files, and leaves out what it may not read.
func ReadLoader(root, sysroot string, booted bool) Loader {
	l := Loader{Entries: entries(sysroot)}
	if !booted {
		return l
	}
	if data, err := os.ReadFile(filepath.Join(root, "run/ostree/staged-deployment")); err == nil {
		l.Staged = parseStaged(data)
	} else if !os.IsNotExist(err) {
		l.Staged = &Staged{}
	}
	if _, err := os.Lstat(filepath.Join(root, "run/ostree/staged-deployment-locked")); err == nil && l.Staged != nil {
		l.Staged.Locked = true // ostree before 2024.8
	}
	_, err := os.Lstat(filepath.Join(root, "run/ostree/nextroot-booted"))
	l.Soft = err == nil
	l.Written = l.written(root, sysroot)
	return l
}

const optionsSource = "x-options-source-"

// parseStaged reads /run/ostree/staged-deployment, a dictionary of GVariant:
// ostree's ostree-sysroot-deploy.c, "target", "kargs", "locked".
func parseStaged(data []byte) *Staged {
	dict, ok := dictionary(data)
	if !ok {
		return &Staged{}
	}
	s := &Staged{Known: true, Locked: dict["locked"].isTrue(), Kargs: dict["kargs"].strings(), Sources: map[string]string{}}
	for key, v := range dict {
		if name, ok := strings.CutPrefix(key, optionsSource); ok {
			s.Sources[name] = v.text()
		}
		if more, ok := dictionary(v.data); ok && v.kind == "a{sv}" {
			for key, v := range more {
				if name, ok := strings.CutPrefix(key, optionsSource); ok {
					s.Sources[name] = v.text()
				}
			}
		}
	}
	return s
}

// entries reads <sysroot>/boot/loader/entries in boot order.
func entries(sysroot string) []Entry {
	files, _ := filepath.Glob(filepath.Join(sysroot, "boot/loader/entries/ostree-*.conf")) // the pattern is constant: no error
	var out []Entry
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil // half of them says nothing about the order
		}
		if e, ok := ParseEntry(string(data)); ok {
			e.ID = entryTarget(sysroot, string(data))
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return b.Version - a.Version })
	return out
}

// ParseEntry reads one entry's file; its ID stays empty.
func ParseEntry(text string) (e Entry, ok bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		switch key {
		case "version":
			n, err := strconv.Atoi(value)
			if err != nil {
				return e, false
			}
			e.Version, ok = n, true
		case "title":
			e.Title = value
		case "options":
			e.Kargs = slices.DeleteFunc(osupdate.SplitKargs(value), func(o string) bool { return strings.HasPrefix(o, "ostree=") })
		}
		if name, is := strings.CutPrefix(key, optionsSource); is {
			if e.Sources == nil {
				e.Sources = map[string]string{}
			}
			e.Sources[name] = value
		}
	}
	return e, ok
}

var deployLink = pattern.Lazy(`([^/]+)/deploy/([0-9a-f]{64}\.\d+)$`)

// entryTarget follows ostree=, a link to the deployment.
func entryTarget(sysroot, text string) string {
	for line := range strings.Lines(text) {
		options, ok := strings.CutPrefix(line, "options")
		if !ok {
			continue
		}
		for _, o := range osupdate.SplitKargs(options) {
			if v, ok := strings.CutPrefix(o, "ostree="); ok {
				target, err := filepath.EvalSymlinks(filepath.Join(sysroot, v))
				if m := deployLink().FindStringSubmatch(target); err == nil && m != nil {
					return m[1] + "-" + m[2]
				}
			}
		}
	}
	return ""
}

// written compares the links of <sysroot>/ostree/boot.*, which ostree replaces
// whenever it writes its deployments, with the start of this boot.
func (l *Loader) written(root, sysroot string) Written {
	boot := osupdate.BootTime(root)
	links, _ := filepath.Glob(filepath.Join(sysroot, "ostree/boot.*")) // the pattern is constant: no error
	var last time.Time
	for _, link := range links {
		if at := changed(link); at.After(last) {
			last = at
		}
	}
	if boot.IsZero() || last.IsZero() || len(l.Entries) == 0 {
		return WrittenUnknown
	}
	if !last.After(boot) {
		return WrittenBefore
	}
	root, name, _ := cutID(l.Entries[0].ID)
	if changed(filepath.Join(sysroot, "ostree/deploy", root, "deploy", name)).After(boot) {
		return WrittenForSystem
	}
	return WrittenThisBoot
}

// cutID takes "<stateroot>-<checksum>.<serial>" apart.
func cutID(id string) (stateroot, name string, ok bool) {
	const checksum = 64
	dot := strings.LastIndexByte(id, '.')
	if dot < checksum+1 {
		return "", "", false
	}
	return id[:dot-checksum-1], id[dot-checksum:], true
}

func changed(path string) time.Time {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix())
}

// Apply puts what the loader says into s, over what the updater showed: which
// system boots next and by whose hand, the lock of the staged one, kernel arguments.
// Call it before Arrange.
func (l *Loader) Apply(s *osupdate.State) {
	staged, booted := false, false
	for i := range s.Deployments {
		d := &s.Deployments[i]
		booted = booted || d.Booted
		if d.Staged && l.Staged != nil {
			d.Locked = d.Locked || l.Staged.Locked
			if l.Staged.Kargs != nil {
				d.Kargs = withoutOSTree(l.Staged.Kargs)
			}
		}
		staged = staged || d.Staged && !d.Locked
		for _, e := range l.Entries {
			if e.ID == d.ID {
				d.Kargs = e.Kargs
			}
		}
	}
	s.Boot.Source = "the boot loader"
	if len(l.Entries) == 0 {
		s.Boot.Source = string(s.Backend)
	}
	if l.Soft && staged {
		s.Boot.State = osupdate.BootSoft
	}
	if staged || len(l.Entries) == 0 || !booted && s.Stateroot != "" {
		return
	}
	first := l.Entries[0].ID
	if !slices.ContainsFunc(s.Deployments, func(d osupdate.Deployment) bool { return d.ID == first }) {
		return
	}
	s.Boot.Next = first
	switch l.Written {
	case WrittenBefore:
		s.Boot.By = osupdate.ByMenuOrFallback
	case WrittenThisBoot:
		s.Boot.By = osupdate.ByRollback
	case WrittenForSystem:
		s.Boot.By = osupdate.ByUpdate
	}
}

func withoutOSTree(kargs []string) []string {
	return slices.DeleteFunc(slices.Clone(kargs), func(o string) bool { return strings.HasPrefix(o, "ostree=") })
}
