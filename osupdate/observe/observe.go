// Package observe shows hosts whose updater tbx does not drive: RAUC, SteamOS,
// Endless OS, Ubuntu Core and NixOS. It reads, and for every verb says which
// command to use.
package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/osrelease"
	"github.com/tbx-project/tbx/osupdate"
)

// Backend reads one of the updaters that have commands below.
type Backend struct {
	kind  osupdate.Kind
	tools *osupdate.Tools
	root  string
	inner osupdate.Backend // Endless OS: ostree reads it
}

var _ osupdate.Backend = (*Backend)(nil)

// New returns the backend. inner reads the host where another backend can.
func New(kind osupdate.Kind, tools *osupdate.Tools, root string, inner osupdate.Backend) (*Backend, error) {
	if commands(kind) == nil {
		return nil, osupdate.Unsupported(kind, osupdate.StatusVerb, "tbx does not know this updater")
	}
	return &Backend{kind, tools, root, inner}, nil
}

// commands names what to use for a verb; "" is for every other one.
func commands(kind osupdate.Kind) map[osupdate.Capability]string {
	return map[osupdate.Kind]map[osupdate.Capability]string{
		osupdate.RAUC: {"upgrade": "use: rauc install BUNDLE", "rollback": "use: rauc status mark-active other",
			"": "RAUC has no such thing; a new bundle brings changes: rauc install BUNDLE"},
		osupdate.SteamOS: {"check": "use: steamos-update check", "upgrade": "use: steamos-update",
			"": "SteamOS has no such thing; install programs in a toolbox or as Flatpaks"},
		osupdate.EOS: {"check": "use: eos-updater-ctl poll", "upgrade": "use: eos-updater-ctl update",
			"": "Endless OS has no such thing; install programs in a toolbox or as Flatpaks"},
		osupdate.Snapd: {"check": "use: snap refresh --list", "upgrade": "use: snap refresh", "rollback": "use: snap revert SNAP",
			"pin": "use: snap refresh --hold", "unpin": "use: snap refresh --unhold",
			"switch": "use: snap switch --channel=CHANNEL SNAP", "install": "use: snap install NAME", "uninstall": "use: snap remove NAME",
			"cancel": "use: snap abort CHANGE", "": "Ubuntu Core has no such thing; see: snap changes"},
		osupdate.NixOS: {"upgrade": "use: nixos-rebuild boot --upgrade", "rollback": "use: nixos-rebuild boot --rollback",
			"install": "add it to environment.systemPackages, then: nixos-rebuild boot",
			"cleanup": "use: nix-collect-garbage --delete-older-than 30d",
			"":        "describe it in /etc/nixos/configuration.nix, then: nixos-rebuild boot"},
	}[kind]
}

// Kind is the updater's.
func (b *Backend) Kind() osupdate.Kind { return b.kind }

// Capabilities: to look, where the updater shows itself to every user.
func (b *Backend) Capabilities() osupdate.Capabilities {
	use := commands(b.kind)
	c := osupdate.Capabilities{Has: []osupdate.Capability{osupdate.CanStatusAsUser}, Lacks: map[osupdate.Capability]string{}}
	for _, v := range append(osupdate.Verbs(), osupdate.CheckVerb) {
		why, ok := use[osupdate.Capability(v)]
		if !ok {
			why = use[""]
		}
		if !osupdate.Own(v) {
			c.Lacks[osupdate.Capability(v)] = why
		}
	}
	return c
}

// State reads what can be read.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	switch b.kind {
	case osupdate.RAUC, osupdate.SteamOS:
		return b.slots(ctx)
	case osupdate.NixOS:
		return b.generations()
	case osupdate.EOS:
		if b.inner != nil {
			s, err := b.inner.State(ctx)
			if err == nil {
				s.Backend = b.kind
			}
			return s, err
		}
	}
	s := &osupdate.State{Backend: b.kind, Tracked: string(b.kind)}
	s.Deployments = []osupdate.Deployment{{ID: "running", Booted: true, Version: b.version(), Tracks: string(b.kind)}}
	return s.Arrange(), nil
}

func (b *Backend) version() string {
	keys, err := osrelease.Read(b.root)
	if err != nil {
		return ""
	}
	return keys["VERSION_ID"]
}

func (b *Backend) slots(ctx context.Context) (*osupdate.State, error) {
	rauc, err := b.tools.Path("rauc")
	if err != nil {
		return nil, err
	}
	argv := []string{rauc, "status", "--detailed", "--output-format=json"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	s, err := parseSlots(out, b.kind)
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	return s, nil
}

// parseSlots reads `rauc status --output-format=json`: the slots that have a
// name for the boot loader are the systems.
func parseSlots(data []byte, kind osupdate.Kind) (*osupdate.State, error) {
	type slot struct {
		State      string `json:"state"`
		Bootname   string `json:"bootname"`
		BootStatus string `json:"boot_status"`
		Status     struct {
			Bundle struct {
				Version string `json:"version"`
			} `json:"bundle"`
			Checksum struct {
				SHA256 string `json:"sha256"`
			} `json:"checksum"`
		} `json:"slot_status"`
	}
	var doc struct {
		Compatible string            `json:"compatible"`
		Primary    string            `json:"boot_primary"`
		Slots      []map[string]slot `json:"slots"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	s := &osupdate.State{Backend: kind, Tracked: doc.Compatible, Boot: osupdate.Boot{By: osupdate.ByUpdate}}
	for _, named := range doc.Slots {
		for name, sl := range named {
			if sl.Bootname == "" {
				continue
			}
			if name == doc.Primary && sl.BootStatus == "bad" {
				s.Boot.By = osupdate.ByFallback
			}
			s.Deployments = append(s.Deployments, osupdate.Deployment{
				ID: name, Booted: sl.State == "booted", Version: sl.Status.Bundle.Version, Checksum: sl.Status.Checksum.SHA256, Tracks: doc.Compatible,
			})
		}
	}
	rank := func(d osupdate.Deployment) int {
		switch {
		case d.ID == doc.Primary:
			return 0
		case d.Booted:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(s.Deployments, func(a, b osupdate.Deployment) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		return strings.Compare(a.ID, b.ID)
	})
	if len(s.Deployments) == 0 {
		return nil, errors.New("no slot can be booted")
	}
	return s.Arrange(), nil
}

// generations reads the links /nix/var/nix/profiles/system-N-link.
func (b *Backend) generations() (*osupdate.State, error) {
	dir := filepath.Join(b.root, "nix/var/nix/profiles")
	links, _ := filepath.Glob(filepath.Join(dir, "system-*-link")) // the pattern is constant: no error
	next, err := os.Readlink(filepath.Join(dir, "system"))
	if err != nil {
		return nil, fmt.Errorf("the system profile: %w", err)
	}
	booted, err := os.Readlink(filepath.Join(b.root, "run/booted-system"))
	if err != nil {
		booted = ""
	}
	s := &osupdate.State{Backend: b.kind, Tracked: "/etc/nixos/configuration.nix", Boot: osupdate.Boot{By: osupdate.ByUpdate}}
	numbers := map[string]int{}
	for _, l := range links {
		store, err := os.Readlink(l)
		n, numErr := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(l), "system-"), "-link"))
		if err != nil || numErr != nil {
			continue
		}
		id := "generation-" + strconv.Itoa(n)
		numbers[id] = n
		if filepath.Base(l) == filepath.Base(next) {
			numbers[id] = 1 << 30 // boots next
		}
		s.Deployments = append(s.Deployments, osupdate.Deployment{ID: id, Version: strconv.Itoa(n), Checksum: filepath.Base(store),
			Tracks: s.Tracked, Booted: store == booted})
	}
	slices.SortFunc(s.Deployments, func(x, y osupdate.Deployment) int { return numbers[y.ID] - numbers[x.ID] })
	one := false
	for i := range s.Deployments { // several generations may be the same system
		s.Deployments[i].Booted = s.Deployments[i].Booted && !one
		one = one || s.Deployments[i].Booted
	}
	return s.Arrange(), nil
}

// Check is not tbx's here.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	return nil, osupdate.Unsupported(b.kind, osupdate.CheckVerb, b.Capabilities().Lacks[osupdate.CanCheck])
}

// Plan refuses with the command to use.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	return nil, osupdate.Unsupported(b.kind, r.Verb, b.Capabilities().Lacks[osupdate.Capability(r.Verb)])
}

// Explain knows what all updaters share.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(b.kind, nil, te)
}
