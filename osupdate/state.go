package osupdate

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/pattern"
)

// Kind names an updater.
type Kind string

// The updaters that Detect knows.
const (
	OSTree        Kind = "ostree"
	RPMOSTree     Kind = "rpm-ostree"
	Bootc         Kind = "bootc"
	EOS           Kind = "eos-updater"
	ABRoot        Kind = "abroot"
	Transactional Kind = "transactional-update"
	Sysupdate     Kind = "systemd-sysupdate"
	RAUC          Kind = "rauc"
	SteamOS       Kind = "steamos-update"
	Snapd         Kind = "snapd"
	NixOS         Kind = "nixos"
	None          Kind = "none" // not image-based
)

// State is the bootable systems of a host and its present work, read from the updater and
// never remembered. It is the "state" of `tbx host status --format json`.
type State struct {
	Backend     Kind         `json:"backend"`
	Deployments []Deployment `json:"deployments"` // in the updater's own order
	Boot        Boot         `json:"boot"`        // what boots next
	Tracked     string       `json:"tracked"`     // what upgrade follows: a refspec, an image, a channel
	wentBack    bool         // the last change of this boot is a rollback of tbx, without a target
	// id of the system to go back to, if the updater knows it better than the order; a
	// missing id: none
	Previous  string   `json:"-"`
	OwnIndex  bool     `json:"-"`                       // the backend has set each Index: numbers of the updater's own
	Custom    []string `json:"custom_origin,omitempty"` // who manages it instead, and of what: rpm-ostree's custom-origin
	Stateroot string   `json:"stateroot,omitempty"`     // the requested one; empty: the running one
	Busy      *Holder  `json:"busy,omitempty"`
	Driver    *Driver  `json:"driver,omitempty"`
	Reboot    string   `json:"reboot,omitempty"` // why a reboot is needed; empty when it is not
	Warnings  []string `json:"warnings,omitempty"`
}

// Deployment is one bootable host system.
type Deployment struct {
	ID         string     `json:"id"`    // stable name: "<stateroot>-<checksum>.<serial>", "snapshot 5", a slot
	Index      int        `json:"index"` // the updater's own index
	Booted     bool       `json:"booted"`
	Next       bool       `json:"next"`     // boots next
	Staged     bool       `json:"staged"`   // written at shutdown; lost by a power cut
	Rollback   bool       `json:"rollback"` // the target of a rollback without a target
	Pinned     bool       `json:"pinned"`
	Locked     bool       `json:"locked"`                // staged, and not applied until unlocked
	Incomplete string     `json:"incomplete,omitempty"`  // why it cannot boot: partly installed, given up by boot counting
	SoftReboot bool       `json:"soft_reboot,omitempty"` // can be reached without firmware and kernel
	Version    string     `json:"version,omitempty"`
	Checksum   string     `json:"checksum,omitempty"` // identity of the content: OSTree commit, fs-verity digest
	Base       string     `json:"base,omitempty"`     // commit below the layers, if it differs
	Tracks     string     `json:"tracks,omitempty"`   // refspec or image
	Image      *Image     `json:"image,omitempty"`
	Time       *time.Time `json:"time,omitempty"`
	BaseTime   *time.Time `json:"base_time,omitempty"` // of the image below the layers, if it differs
	Changes    *Changes   `json:"changes,omitempty"`
	Kargs      []string   `json:"kargs,omitempty"` // where cheap to know
	Unlocked   string     `json:"unlocked,omitempty"`
	EndOfLife  string     `json:"end_of_life,omitempty"`
	Successor  string     `json:"successor,omitempty"` // the ref to follow at the end of life
	// how the signature of its source is checked: required, policy, remote:NAME, none,
	// insecure, valid
	Signature string `json:"signature,omitempty"`
	Stateroot string `json:"stateroot,omitempty"`
}

// Image is the container image that a deployment was made from.
type Image struct {
	Reference string `json:"reference"` // host/repository:tag, without the transport
	Transport string `json:"transport"` // registry, oci, containers-storage, ...
	Digest    string `json:"digest"`    // of the manifest for this machine
	Signature string `json:"signature"` // policy, remote:<name>, insecure or unknown
}

// Changes is what the client put on top of the image.
type Changes struct {
	Layered   []string `json:"layered,omitempty"`       // packages asked for
	Inactive  []string `json:"inactive,omitempty"`      // asked for, and in the base already
	Local     []string `json:"local,omitempty"`         // from local files
	Removed   []string `json:"removed,omitempty"`       // removed from the base
	Replaced  []string `json:"replaced,omitempty"`      // replaced in the base
	Initramfs bool     `json:"initramfs,omitempty"`     // made on the host
	Dracut    []string `json:"dracut,omitempty"`        // dracut's arguments for that
	Live      bool     `json:"live,omitempty"`          // changed while running
	Files     []string `json:"initramfs_etc,omitempty"` // files of /etc in the initramfs
	NotInUse  []string `json:"not_in_use,omitempty"`    // requested without effect: overrides of nothing, packages that failed
}

// Any reports whether the client put anything on top that a reset would remove.
func (c *Changes) Any() bool {
	return c != nil && (len(c.Layered)+len(c.Inactive)+len(c.Local)+len(c.Removed)+len(c.Replaced)+len(c.Files) > 0 || c.Initramfs)
}

// Requested reports whether a package was requested, by its name or its full name.
func (c *Changes) Requested(name string) bool {
	return slices.Contains(c.Layered, name) || slices.Contains(c.Inactive, name) || c.LocalName(name) != ""
}

// LocalName returns the full name of the local package with that name: "docker-ce" for
// docker-ce-18.05-3.x86_64. It is empty if there is none.
func (c *Changes) LocalName(name string) string {
	for _, full := range c.Local {
		if full == name || PackageName(full) == name {
			return full
		}
	}
	return ""
}

// FileOf returns the full package name from the name of an rpm file.
func FileOf(path string) string { return strings.TrimSuffix(filepath.Base(path), ".rpm") }

var fullName = pattern.Lazy(`^(.+)-(?:[0-9]+:)?[0-9][^-]*-[0-9][^-]*\.[a-z0-9_]+$`)

// PackageName is the name in NAME-VERSION-RELEASE.ARCHITECTURE of rpm(8); a name alone
// stays as it is.
func PackageName(full string) string {
	if m := fullName().FindStringSubmatch(full); m != nil {
		return m[1]
	}
	return full
}

// Holder is the program that works on the host now.
type Holder struct {
	What  string    `json:"what"`            // the transaction or the lock
	Who   string    `json:"who,omitempty"`   // program or D-Bus sender
	PID   int       `json:"pid,omitempty"`   // 0 when unknown
	Since time.Time `json:"since,omitempty"` // zero when unknown
}

// Driver is an agent that has registered to drive updates.
type Driver struct {
	Name     string `json:"name"`
	Unit     string `json:"unit"`
	Inactive bool   `json:"inactive,omitempty"` // registered, and its unit does not run: the updater ignores it
}

// Update is a newer system for the host.
type Update struct {
	Version    string     `json:"version,omitempty"`
	Checksum   string     `json:"checksum,omitempty"` // commit, or manifest digest
	Time       *time.Time `json:"time,omitempty"`
	Bytes      int64      `json:"bytes,omitempty"`    // to download; 0 when unknown
	Severity   string     `json:"severity,omitempty"` // none, low, moderate, important, critical; empty when unknown
	Advisories []string   `json:"advisories,omitempty"`
	Packages   *Diff      `json:"packages,omitempty"`
	EndOfLife  string     `json:"end_of_life,omitempty"`
	Successor  string     `json:"successor,omitempty"` // the ref to follow then
	Source     string     `json:"source"`              // where the answer comes from
}

// Diff is the difference between two systems, by package or, without packages, by file.
type Diff struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Added    []string `json:"added,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	Changed  []string `json:"changed,omitempty"` // "name old -> new" or a path
	Packages bool     `json:"packages"`          // false: paths
}

// Arrange fills in Index, Boot, Next, Rollback and Reboot from the order of the
// deployments, their marks, and the backend's values in Boot; every backend's State ends
// by calling it. If nothing is booted (a sysroot of another machine), the first of the
// stateroot counts as current and its second as the way back.
func (s *State) Arrange() *State {
	root := s.Stateroot
	for i := range s.Deployments {
		d := &s.Deployments[i]
		d.Next, d.Rollback = false, false
		if !s.OwnIndex {
			d.Index = i
		}
		if d.Booted {
			root = d.Stateroot
		}
	}
	mine := func(d *Deployment) bool { return root == "" || d.Stateroot == root }
	scope := func(*Deployment) bool { return true }
	if s.Stateroot != "" && s.Booted() == nil {
		scope = mine
	}
	s.settle(scope)
	if back := s.wayBack(mine); back != nil {
		back.Rollback = true
	}
	s.Reboot = ""
	if next := s.Waits(); next != nil {
		s.Reboot = "deployment " + s.Label(next) + " boots next"
	}
	if cur := s.Current(); s.Tracked == "" && cur != nil {
		s.Tracked = cur.Tracks
	}
	return s
}

// wayBack returns the target of a rollback without a target: the system of the same
// stateroot after the running one; or the running one, if it is not the default and no
// rollback caused that.
func (s *State) wayBack(mine func(*Deployment) bool) *Deployment {
	booted, next := s.Booted(), s.Next()
	cur := s.Current()
	if cur == nil || s.Boot.State == BootUnknown {
		cur = booted
	}
	if cur == nil {
		return nil
	}
	if booted != nil && next != nil && next != booted && !next.Staged && s.Boot.State == BootOther && s.Waits() == nil {
		return booted
	}
	if s.Previous != "" {
		if d := s.byID(s.Previous); d != nil && !d.Next && d.Incomplete == "" {
			return d
		}
		return nil
	}
	after := false
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if after && mine(d) && d.Incomplete == "" && !d.Next {
			return d
		}
		after = after || d == cur
	}
	return nil
}

// Sound returns why s cannot be the state of a host, or nil: names must be unique, and at
// most one system runs.
func (s *State) Sound() error {
	names, booted := map[string]bool{}, ""
	for _, d := range s.Deployments {
		switch {
		case d.ID == "" || names[d.ID]:
			return fmt.Errorf("two systems, or none, are called %q", d.ID)
		case d.Booted && booted != "":
			return fmt.Errorf("both %s and %s run", booted, d.ID)
		case d.Booted:
			booted = d.ID
		}
		names[d.ID] = true
	}
	return nil
}

// Name returns the name that a person would use for d.
func (d *Deployment) Name() string {
	switch {
	case d.Version != "":
		return d.Version
	case len(d.Checksum) > 12:
		return d.Checksum[:12]
	}
	return d.ID
}

// Content identifies the content of d: its checksum, or else its id.
func (d *Deployment) Content() string { return cmp.Or(d.Checksum, d.ID) }

// Same reports whether both have the same content.
func (d *Deployment) Same(o *Deployment) bool { return d.Content() == o.Content() }

// Label returns the name of d, and what distinguishes it from another system of that
// name.
func (s *State) Label(d *Deployment) string {
	for i := range s.Deployments {
		if o := &s.Deployments[i]; o.ID != d.ID && o.Name() == d.Name() {
			return d.Name() + " (" + d.mark(o) + ")"
		}
	}
	return d.Name()
}

// mark returns what distinguishes d from o, of the same name.
func (d *Deployment) mark(o *Deployment) string {
	serial := func(id string) string { return id[strings.LastIndexByte(id, '.')+1:] }
	switch {
	case d.Checksum != o.Checksum && len(d.Checksum) > 8:
		return d.Checksum[:8]
	case serial(d.ID) != serial(o.ID):
		return "number " + serial(d.ID)
	}
	return d.ID
}

// NamesOf returns the names of two systems for a sentence, distinguishable.
func NamesOf(a, b *Deployment) (string, string) {
	if a.Name() != b.Name() {
		return a.Name(), b.Name()
	}
	return a.Name() + " (" + a.mark(b) + ")", b.Name() + " (" + b.mark(a) + ")"
}

// Current returns the running system; if nothing is booted, the next one of the requested
// stateroot; nil without deployments.
func (s *State) Current() *Deployment {
	if b := s.Booted(); b != nil {
		return b
	}
	if next := s.Next(); next != nil {
		return next
	}
	if len(s.Deployments) > 0 {
		return &s.Deployments[0]
	}
	return nil
}

// Booted returns the running system, or nil.
func (s *State) Booted() *Deployment {
	for i := range s.Deployments {
		if s.Deployments[i].Booted {
			return &s.Deployments[i]
		}
	}
	return nil
}

// Next returns the system that boots next; nil without deployments, or if it is not
// known.
func (s *State) Next() *Deployment {
	for i := range s.Deployments {
		if s.Deployments[i].Next {
			return &s.Deployments[i]
		}
	}
	return nil
}

// Head returns the system that a change starts from: the one that waits for the next
// boot, else the running one. A downloaded system that is not applied does not count.
func (s *State) Head() *Deployment {
	if next := s.Next(); next != nil {
		return next
	}
	return s.Current()
}
