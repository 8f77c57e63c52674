package rpmostree

import (
	"encoding/json"
	"fmt"

	"github.com/tbx-project/tbx/osupdate"
)

// cached is cached-update of the status: what the last check found.
type cached struct {
	Checksum   string              `json:"checksum"`
	Version    string              `json:"version"`
	Timestamp  int64               `json:"timestamp"`
	Origin     string              `json:"origin"`
	Deployment string              `json:"deployment"` // id of the system that the update is already
	New        *bool               `json:"ref-has-new-commit"`
	Diff       *rpmDiff            `json:"rpm-diff"`
	Advisories [][]json.RawMessage `json:"advisories"`
	Manifest   *struct {
		Added int64 `json:"added-size"`
	} `json:"manifest-diff"`
}

// rpmDiff has [kind, name, ...] for each package: kind 1 is a layered one.
type rpmDiff struct {
	Upgraded   []json.RawMessage `json:"upgraded"`
	Downgraded []json.RawMessage `json:"downgraded"`
	Removed    []json.RawMessage `json:"removed"`
	Added      []json.RawMessage `json:"added"`
}

func (d *rpmDiff) any() bool {
	return d != nil && len(d.Upgraded)+len(d.Downgraded)+len(d.Removed)+len(d.Added) > 0
}

func (d *rpmDiff) packages() *osupdate.Diff {
	out := &osupdate.Diff{From: "the running system", To: "the update", Packages: true}
	for _, raw := range append(append([]json.RawMessage{}, d.Upgraded...), d.Downgraded...) {
		var p []json.RawMessage
		var name string
		var from, to []string
		if json.Unmarshal(raw, &p) != nil || len(p) < 4 || json.Unmarshal(p[1], &name) != nil || json.Unmarshal(p[2], &from) != nil ||
			json.Unmarshal(p[3], &to) != nil ||
			len(from) == 0 || len(to) == 0 {
			continue
		}
		out.Changed = append(out.Changed, fmt.Sprintf("%s %s -> %s", name, from[0], to[0]))
	}
	for _, part := range []struct {
		raw []json.RawMessage
		to  *[]string
	}{{d.Removed, &out.Removed}, {d.Added, &out.Added}} {
		for _, raw := range part.raw {
			var p []json.RawMessage
			var name, version string
			if json.Unmarshal(raw, &p) == nil && len(p) > 2 && json.Unmarshal(p[1], &name) == nil && json.Unmarshal(p[2], &version) == nil {
				*part.to = append(*part.to, name+"-"+version)
			}
		}
	}
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
