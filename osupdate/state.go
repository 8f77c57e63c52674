package osupdate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
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

// State is what a host would boot and what is going on, read from the updater
// and never remembered. It is the "state" of `tbx host status --format json`.
type State struct {
	Backend     Kind         `json:"backend"`
	Deployments []Deployment `json:"deployments"` // boot order: the first boots next
	Tracked     string       `json:"tracked"`     // what upgrade follows: a refspec, an image, a channel
	Busy        *Holder      `json:"busy,omitempty"`
	Driver      *Driver      `json:"driver,omitempty"`
	Reboot      string       `json:"reboot,omitempty"` // why a reboot is needed; empty when it is not
	Warnings    []string     `json:"warnings,omitempty"`
}

// Deployment is one bootable host system.
type Deployment struct {
	ID        string     `json:"id"`    // stable name: "<stateroot>-<checksum>.<serial>", "snapshot 5", a slot
	Index     int        `json:"index"` // place in the boot order, 0 boots next
	Booted    bool       `json:"booted"`
	Next      bool       `json:"next"`     // boots next
	Staged    bool       `json:"staged"`   // written at shutdown; lost by a power cut
	Rollback  bool       `json:"rollback"` // what rollback without a target goes to
	Pinned    bool       `json:"pinned"`
	Locked    bool       `json:"locked"` // staged, and not applied until unlocked
	Version   string     `json:"version,omitempty"`
	Checksum  string     `json:"checksum,omitempty"` // identity of the content: OSTree commit, fs-verity digest
	Base      string     `json:"base,omitempty"`     // commit below the layers, where it differs
	Tracks    string     `json:"tracks,omitempty"`   // refspec or image
	Image     *Image     `json:"image,omitempty"`
	Time      *time.Time `json:"time,omitempty"`
	Changes   *Changes   `json:"changes,omitempty"`
	Kargs     []string   `json:"kargs,omitempty"` // where cheap to know
	Unlocked  string     `json:"unlocked,omitempty"`
	EndOfLife string     `json:"end_of_life,omitempty"`
	Stateroot string     `json:"stateroot,omitempty"`
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
	Layered   []string `json:"layered,omitempty"`   // packages asked for
	Inactive  []string `json:"inactive,omitempty"`  // asked for, and in the base already
	Local     []string `json:"local,omitempty"`     // from local files
	Removed   []string `json:"removed,omitempty"`   // removed from the base
	Replaced  []string `json:"replaced,omitempty"`  // replaced in the base
	Initramfs bool     `json:"initramfs,omitempty"` // made on the host
	Dracut    []string `json:"dracut,omitempty"`    // dracut's arguments for that
	Live      bool     `json:"live,omitempty"`      // changed while running
}

// Any says whether the client put anything on top that a reset would take off.
func (c *Changes) Any() bool {
	return c != nil && (len(c.Layered)+len(c.Inactive)+len(c.Local)+len(c.Removed)+len(c.Replaced) > 0 || c.Initramfs)
}

// Holder is whoever works on the host now.
type Holder struct {
	What  string    `json:"what"`            // the transaction or the lock
	Who   string    `json:"who,omitempty"`   // program or D-Bus sender
	PID   int       `json:"pid,omitempty"`   // 0 when unknown
	Since time.Time `json:"since,omitempty"` // zero when unknown
}

// Driver is an agent that has registered to drive updates.
type Driver struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
}

// Update is a newer system that the host could take.
type Update struct {
	Version    string     `json:"version,omitempty"`
	Checksum   string     `json:"checksum,omitempty"` // commit, or manifest digest
	Time       *time.Time `json:"time,omitempty"`
	Bytes      int64      `json:"bytes,omitempty"`    // to download; 0 when unknown
	Severity   string     `json:"severity,omitempty"` // none, low, moderate, important, critical; empty when unknown
	Advisories []string   `json:"advisories,omitempty"`
	Packages   *Diff      `json:"packages,omitempty"`
	Source     string     `json:"source"` // where the answer comes from
}

// Diff is the difference of two systems, by package or, where there are none,
// by file.
type Diff struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Added    []string `json:"added,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	Changed  []string `json:"changed,omitempty"` // "name old -> new" or a path
	Packages bool     `json:"packages"`          // false: paths
}

// Arrange fills Index, Next, Rollback and Reboot from the order of the
// deployments and their Booted and Staged marks; every backend's State ends by
// calling it. Nothing booted (a sysroot of another machine): the first counts as
// current and the second as the way back.
func (s *State) Arrange() *State {
	booted := -1
	for i := range s.Deployments {
		d := &s.Deployments[i]
		d.Index, d.Next, d.Rollback = i, i == 0, false
		if d.Booted {
			booted = i
		}
	}
	if back := max(booted, 0) + 1; back < len(s.Deployments) {
		s.Deployments[back].Rollback = true
	}
	if s.Reboot == "" && booted > 0 {
		s.Reboot = "deployment " + s.Deployments[0].Name() + " boots next"
	}
	if s.Tracked == "" && len(s.Deployments) > 0 {
		s.Tracked = s.Deployments[max(booted, 0)].Tracks
	}
	return s
}

// Sound says why s cannot be the state of a host, or nil: every system has a name
// of its own, and at most one of them runs.
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

// Name is how a person would call d.
func (d *Deployment) Name() string {
	switch {
	case d.Version != "":
		return d.Version
	case len(d.Checksum) > 12:
		return d.Checksum[:12]
	}
	return d.ID
}

// Content identifies what d holds: its checksum, or its id where there is none.
func (d *Deployment) Content() string { return cmp.Or(d.Checksum, d.ID) }

// Same says whether both hold the same content.
func (d *Deployment) Same(o *Deployment) bool { return d.Content() == o.Content() }

// Current is the running system, or the first where nothing is booted; nil
// without deployments.
func (s *State) Current() *Deployment {
	for i := range s.Deployments {
		if s.Deployments[i].Booted {
			return &s.Deployments[i]
		}
	}
	return s.Next()
}

// Booted is the running system, or nil.
func (s *State) Booted() *Deployment {
	if d := s.Current(); d != nil && d.Booted {
		return d
	}
	return nil
}

// Next is what boots next; nil without deployments.
func (s *State) Next() *Deployment {
	if len(s.Deployments) == 0 {
		return nil
	}
	return &s.Deployments[0]
}

// Find resolves an index, an id, a version, a checksum (or a start of it of at
// least eight characters), or one of booted, next and rollback.
func (s *State) Find(name string) (*Deployment, error) {
	i, numeric := -1, false
	if n, err := strconv.Atoi(name); err == nil && len(name) < 4 {
		i, numeric = n, true
	}
	match := func(d *Deployment) bool {
		return numeric && d.Index == i || d.ID == name || d.Version != "" && d.Version == name ||
			len(name) >= 8 && strings.HasPrefix(d.Checksum, name) || name == "booted" && d.Booted ||
			name == "next" && d.Next || name == "rollback" && d.Rollback
	}
	if at := slices.IndexFunc(s.Deployments, func(d Deployment) bool { return match(&d) }); at >= 0 {
		return &s.Deployments[at], nil
	}
	return nil, fail.New(ErrNotFound, "deployment %q: this host has none of that name", name).
		Hint("see the indexes 0 to %d in: tbx host status", len(s.Deployments)-1)
}

// Back resolves the target of a rollback; empty means the previous system.
func (s *State) Back(target string) (*Deployment, error) {
	if target != "" {
		return s.Find(target)
	}
	if s.wentBack() {
		return s.Next(), nil
	}
	for i := range s.Deployments {
		if s.Deployments[i].Rollback {
			return &s.Deployments[i], nil
		}
	}
	return nil, fail.New(ErrNoRollback, "this host has no other system to go back to").
		Hint("keep one by pinning before the next upgrade: tbx host pin booted")
}

// wentBack says whether what boots next is an older system than the running one.
func (s *State) wentBack() bool {
	cur, next := s.Booted(), s.Next()
	if cur == nil || next == cur || next.Staged {
		return false
	}
	if next.Time != nil && cur.Time != nil {
		return next.Time.Before(*cur.Time)
	}
	return cur.Index == len(s.Deployments)-1
}
