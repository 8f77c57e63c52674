package ostree

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// parseJSON reads `ostree admin status --json` (2025.3 and newer).
func parseJSON(data []byte) ([]osupdate.Deployment, error) {
	var doc struct {
		Deployments []struct {
			Checksum  string `json:"checksum"`
			Stateroot string `json:"stateroot"`
			Refspec   string `json:"refspec"`
			Serial    int    `json:"serial"`
			Booted    bool   `json:"booted"`
			Staged    bool   `json:"staged"`
			Pinned    bool   `json:"pinned"`
			Locked    bool   `json:"finalization-locked"`
			Unlocked  string `json:"unlocked"`
			Version   string `json:"version"`
		} `json:"deployments"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	var out []osupdate.Deployment
	for i, d := range doc.Deployments {
		if !checksumForm().MatchString(d.Checksum) || d.Stateroot == "" {
			return nil, fmt.Errorf("deployment %d has no checksum or stateroot", i)
		}
		unlocked := d.Unlocked
		if unlocked == "none" {
			unlocked = ""
		}
		out = append(out, osupdate.Deployment{
			ID: id(d.Stateroot, d.Checksum, d.Serial), Booted: d.Booted, Staged: d.Staged, Pinned: d.Pinned, Locked: d.Locked,
			Version: d.Version, Checksum: d.Checksum, Tracks: d.Refspec, Unlocked: unlocked, Stateroot: d.Stateroot,
		})
	}
	return out, nil
}

func id(stateroot, checksum string, serial int) string {
	return fmt.Sprintf("%s-%s.%d", stateroot, checksum, serial)
}

var (
	checksumForm = pattern.Lazy(`^[0-9a-f]{64}$`)
	headline     = pattern.Lazy(`^([* ]) (\S+) ([0-9a-f]{64})\.(\d{1,9})((?: \([^)]*\))*)$`)
	colour       = pattern.Lazy("\x1b\\[[0-9;]*m")
)

// parseText reads the text form, which every version prints: a headline for each
// deployment in boot order, "*" before the booted one, indented facts below.
func parseText(data []byte) ([]osupdate.Deployment, error) {
	var out []osupdate.Deployment
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimRight(colour().ReplaceAllString(sc.Text(), ""), " ")
		if m := headline().FindStringSubmatch(line); m != nil {
			serial := 0
			fmt.Sscan(m[4], &serial) // nine digits: always a number
			d := osupdate.Deployment{ID: id(m[2], m[3], serial), Stateroot: m[2], Checksum: m[3], Booted: m[1] == "*"}
			d.Staged = strings.Contains(m[5], "staged") || strings.Contains(m[5], "finalization locked")
			d.Locked = strings.Contains(m[5], "finalization locked")
			out = append(out, d)
			continue
		}
		if line == "" || line == "No deployments." {
			continue
		}
		if len(out) == 0 || !strings.HasPrefix(line, "    ") {
			return nil, fmt.Errorf("line %d is neither a deployment nor about one", n)
		}
		d := &out[len(out)-1]
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Version":
			d.Version = value
		case "Pinned":
			d.Pinned = value == "yes"
		case "Unlocked":
			d.Unlocked = value
		case "origin refspec":
			d.Tracks = value
		}
	}
	return out, sc.Err()
}
