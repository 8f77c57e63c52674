package rpmostree

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// status is the part of `rpm-ostree status --json` that tbx uses. Everything may
// be missing: versions from 2018 on differ.
type status struct {
	Deployments []deployment `json:"deployments"`
	Transaction []string     `json:"transaction"` // null or method, sender, path
	Cached      *cached      `json:"cached-update"`
	Driver      *struct {
		Name string `json:"driver-name"`
		Unit string `json:"driver-sd-unit"`
	} `json:"update-driver"`
}

type deployment struct {
	ID        string          `json:"id"`
	Osname    string          `json:"osname"`
	Checksum  string          `json:"checksum"`
	Base      string          `json:"base-checksum"`
	Version   string          `json:"version"`
	Timestamp int64           `json:"timestamp"`
	Booted    bool            `json:"booted"`
	Staged    bool            `json:"staged"`
	Pinned    bool            `json:"pinned"`
	Locked    bool            `json:"finalization-locked"`
	Unlocked  string          `json:"unlocked"`
	Origin    string          `json:"origin"`
	Image     string          `json:"container-image-reference"`
	Digest    string          `json:"container-image-reference-digest"`
	EndOfLife string          `json:"endoflife"`
	Requested []string        `json:"requested-packages"`
	Packages  []string        `json:"packages"`
	Local     []string        `json:"requested-local-packages"`
	Removed   []string        `json:"requested-base-removals"`
	Replaced  []string        `json:"requested-base-local-replacements"`
	Remote    json.RawMessage `json:"requested-base-remote-replacements"`
	Initramfs bool            `json:"regenerate-initramfs"`
	Dracut    []string        `json:"initramfs-args"`
	Live      string          `json:"live-replaced"`
}

type cached struct {
	Checksum   string              `json:"checksum"`
	Version    string              `json:"version"`
	Timestamp  int64               `json:"timestamp"`
	Advisories [][]json.RawMessage `json:"advisories"`
	Manifest   *struct {
		Added int64 `json:"added-size"`
	} `json:"manifest-diff"`
}

func parse(data []byte) (*osupdate.State, *cached, error) {
	var doc status
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, nil, err
	}
	s := &osupdate.State{Backend: osupdate.RPMOSTree}
	for i, d := range doc.Deployments {
		if d.ID == "" || d.Checksum == "" {
			return nil, nil, fmt.Errorf("deployment %d has no id or checksum", i)
		}
		s.Deployments = append(s.Deployments, d.deployment())
	}
	if len(doc.Transaction) > 0 {
		s.Busy = &osupdate.Holder{What: "rpm-ostree " + doc.Transaction[0]}
		if len(doc.Transaction) > 1 {
			s.Busy.Who = doc.Transaction[1]
		}
	}
	if doc.Driver != nil {
		s.Driver = &osupdate.Driver{Name: doc.Driver.Name, Unit: doc.Driver.Unit}
	}
	return s.Arrange(), doc.Cached, nil
}

func (d *deployment) deployment() osupdate.Deployment {
	out := osupdate.Deployment{
		ID: d.ID, Stateroot: d.Osname, Checksum: d.Checksum, Base: d.Base, Version: d.Version, Booted: d.Booted, Staged: d.Staged,
		Pinned: d.Pinned, Locked: d.Locked, Tracks: d.Origin, EndOfLife: d.EndOfLife,
	}
	if d.Timestamp > 0 {
		t := time.Unix(d.Timestamp, 0).UTC()
		out.Time = &t
	}
	if d.Unlocked != "none" {
		out.Unlocked = d.Unlocked
	}
	if d.Image != "" {
		out.Tracks = d.Image
		if out.Image = osupdate.ParseImage(d.Image); out.Image != nil {
			out.Image.Digest = d.Digest
		}
	}
	c := osupdate.Changes{Local: d.Local, Removed: d.Removed, Replaced: slices.Concat(d.Replaced, remote(d.Remote)), Initramfs: d.Initramfs, Dracut: d.Dracut, Live: d.Live != ""}
	for _, p := range d.Requested {
		if slices.Contains(d.Packages, p) {
			c.Layered = append(c.Layered, p)
		} else {
			c.Inactive = append(c.Inactive, p)
		}
	}
	out.Changes = &c
	return out
}

// remote reads {"repo=updates": ["kernel", ...]}, whose values differ by version.
func remote(data json.RawMessage) []string {
	var byRepo map[string][]string
	if len(data) == 0 || json.Unmarshal(data, &byRepo) != nil {
		return nil
	}
	var out []string
	for _, packages := range byRepo {
		out = append(out, packages...)
	}
	slices.Sort(out)
	return out
}

// severity is the highest of the advisories, [id, kind, severity, ...]; they are
// security advisories only.
func (c *cached) severity() (string, []string) {
	names := []string{"none", "low", "moderate", "important", "critical"}
	worst, ids := -1, []string(nil)
	for _, a := range c.Advisories {
		var id string
		var n int
		if len(a) < 3 || json.Unmarshal(a[0], &id) != nil || json.Unmarshal(a[2], &n) != nil {
			continue
		}
		ids, worst = append(ids, id), max(worst, n)
	}
	if worst < 0 || worst >= len(names) {
		return "", ids
	}
	return names[worst], ids
}
