package rpmostree

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	ID             string              `json:"id"`
	Osname         string              `json:"osname"`
	Checksum       string              `json:"checksum"`
	Base           string              `json:"base-checksum"`
	Version        string              `json:"version"`
	Timestamp      int64               `json:"timestamp"`
	BaseTime       int64               `json:"base-timestamp"`
	Custom         []string            `json:"custom-origin"`
	Signed         *bool               `json:"gpg-enabled"`
	Signatures     [][]json.RawMessage `json:"signatures"`
	Booted         bool                `json:"booted"`
	Staged         bool                `json:"staged"`
	Pinned         bool                `json:"pinned"`
	Locked         bool                `json:"finalization-locked"`
	Unlocked       string              `json:"unlocked"`
	Origin         string              `json:"origin"`
	Image          string              `json:"container-image-reference"`
	Digest         string              `json:"container-image-reference-digest"`
	EndOfLife      string              `json:"endoflife"`
	Requested      []string            `json:"requested-packages"`
	Packages       []string            `json:"packages"`
	Local          []string            `json:"requested-local-packages"`
	Removed        []string            `json:"requested-base-removals"`
	Replaced       []string            `json:"requested-base-local-replacements"`
	Remote         json.RawMessage     `json:"requested-base-remote-replacements"`
	RealRemote     json.RawMessage     `json:"base-remote-replacements"`
	RealLocal      []json.RawMessage   `json:"base-local-replacements"`
	FileOverrides  []string            `json:"requested-local-fileoverride-packages"`
	EtcFiles       []string            `json:"initramfs-etc"`
	LiveInProgress string              `json:"live-inprogress"`
	Initramfs      bool                `json:"regenerate-initramfs"`
	Dracut         []string            `json:"initramfs-args"`
	Live           string              `json:"live-replaced"`
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
	for i := range s.Deployments {
		if s.Deployments[i].Booted {
			s.Custom = doc.Deployments[i].Custom
		}
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
	if d.BaseTime > 0 {
		t := time.Unix(d.BaseTime, 0).UTC()
		out.BaseTime = &t
	}
	out.Signature = d.signature(out.Image)
	out.Changes = d.changes()
	return out
}

// signature is what rpm-ostree says of the commit's signatures, or the policy of an
// image; empty where it says nothing.
func (d *deployment) signature(im *osupdate.Image) string {
	if im != nil {
		return im.Signature
	}
	if d.Signed == nil {
		return ""
	}
	if !*d.Signed {
		return "none"
	}
	for _, s := range d.Signatures {
		var valid bool
		if len(s) > 0 && json.Unmarshal(s[0], &valid) == nil && valid {
			return "valid"
		}
	}
	return "required"
}

func (d *deployment) changes() *osupdate.Changes {
	remotes := remote(d.Remote)
	c := &osupdate.Changes{
		Local: slices.Concat(d.Local, d.FileOverrides), Removed: d.Removed, Replaced: slices.Concat(d.Replaced, remotes),
		Initramfs: d.Initramfs, Dracut: d.Dracut, Files: d.EtcFiles, Live: d.Live != "" || d.LiveInProgress != "",
	}
	for _, p := range d.Requested {
		if slices.Contains(d.Packages, p) {
			c.Layered = append(c.Layered, p)
		} else {
			c.Inactive = append(c.Inactive, p)
		}
	}
	if d.RealRemote != nil { // absent in versions that do not tell
		for _, name := range remotes {
			if !strings.Contains(string(d.RealRemote), `"`+name+`"`) {
				c.NotInUse = append(c.NotInUse, name)
			}
		}
	}
	return c
}

// remote reads the packages that are taken from a repository: pairs
// [["repo=updates", ["kernel", ...]], ...] or, in older versions, an object of them.
func remote(data json.RawMessage) []string {
	var out []string
	var pairs [][]json.RawMessage
	var byRepo map[string][]string
	switch {
	case len(data) == 0:
	case json.Unmarshal(data, &pairs) == nil:
		for _, p := range pairs {
			var packages []string
			if len(p) > 1 && json.Unmarshal(p[1], &packages) == nil {
				out = append(out, packages...)
			}
		}
	case json.Unmarshal(data, &byRepo) == nil:
		for _, packages := range byRepo {
			out = append(out, packages...)
		}
	}
	slices.Sort(out)
	return out
}
