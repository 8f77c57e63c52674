package bootc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// host is the part of `bootc status --format=json` that tbx uses. All of it may
// be missing or null; apiVersion says nothing about which keys are there.
type host struct {
	Spec struct {
		Image *struct {
			Image     string `json:"image"`
			Transport string `json:"transport"`
		} `json:"image"`
	} `json:"spec"`
	Status *struct {
		Staged         *entry  `json:"staged"`
		Booted         *entry  `json:"booted"`
		Rollback       *entry  `json:"rollback"`
		Others         []entry `json:"otherDeployments"`
		RollbackQueued bool    `json:"rollbackQueued"`
		Overlay        *struct {
			AccessMode  string `json:"accessMode"`
			Persistence string `json:"persistence"`
		} `json:"usrOverlay"`
	} `json:"status"`
}

type entry struct {
	Image        *imageStatus `json:"image"`
	Cached       *imageStatus `json:"cachedUpdate"`
	Incompatible bool         `json:"incompatible"`
	Pinned       bool         `json:"pinned"`
	DownloadOnly bool         `json:"downloadOnly"`
	SoftReboot   bool         `json:"softRebootCapable"`
	OSTree       *struct {
		Stateroot string `json:"stateroot"`
		Checksum  string `json:"checksum"`
		Serial    int    `json:"deploySerial"`
	} `json:"ostree"`
	Composefs *struct {
		Verity   string `json:"verity"`
		BootType string `json:"bootType"` // Bls or Uki
	} `json:"composefs"`
}

type imageStatus struct {
	Image struct {
		Image     string          `json:"image"`
		Transport string          `json:"transport"`
		Signature json.RawMessage `json:"signature"`
	} `json:"image"`
	Version   string `json:"version"`
	Timestamp string `json:"timestamp"`
	Digest    string `json:"imageDigest"`
}

// answer is a state with what the State type has no place for.
type answer struct {
	state        *osupdate.State
	incompatible bool
	unsure       bool           // whether the other system boots next is not known
	cached       []*imageStatus // what bootc has found, of the staged and of the booted system
}

func parse(data []byte) (*answer, error) {
	var h host
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, err
	}
	a := &answer{state: &osupdate.State{Backend: osupdate.Bootc}}
	if h.Status == nil {
		return nil, fmt.Errorf("no status in it")
	}
	st := h.Status
	queued := st.RollbackQueued
	if queued && st.Booted != nil && st.Booted.Composefs != nil && st.Booted.Composefs.BootType != "Bls" {
		// Up to 1.16.9 it is said of every unified kernel image after an upgrade.
		a.unsure, queued = true, false
	}
	order := []*entry{st.Booted, st.Rollback}
	if queued {
		order = []*entry{st.Rollback, st.Booted}
		a.state.Boot.By = osupdate.ByRollback
	}
	order = append([]*entry{st.Staged}, order...)
	for i := range st.Others {
		order = append(order, &st.Others[i])
	}
	for _, e := range order {
		if e == nil {
			continue
		}
		d, err := e.deployment()
		if err != nil {
			return nil, err
		}
		d.Booted, d.Staged = e == st.Booted, e == st.Staged
		d.Locked = d.Staged && e.DownloadOnly
		if d.Booted && st.Overlay != nil {
			d.Unlocked = "development"
		}
		a.state.Deployments = append(a.state.Deployments, d)
		if (d.Staged || d.Booted) && e.Cached != nil {
			a.cached = append(a.cached, e.Cached)
		}
		a.incompatible = a.incompatible || e.Incompatible && (d.Booted || d.Staged)
	}
	if im := h.Spec.Image; im != nil && im.Image != "" {
		a.state.Tracked = tracks(&osupdate.Image{Reference: im.Image, Transport: im.Transport})
	}
	a.state.Arrange()
	return a, nil
}

// say adds the warning of a download that is not applied.
func (a *answer) say() {
	if d := a.state.Downloaded(); d != nil {
		a.state.Warnings = append(a.state.Warnings,
			a.state.Label(d)+" is downloaded and is not applied until: tbx host upgrade; a reboot without that loses it")
	}
}

// tracks writes an image as `bootc status` names it for people.
func tracks(im *osupdate.Image) string {
	if im.Transport != "" && im.Transport != "registry" {
		return im.Transport + ":" + im.Reference
	}
	return im.Reference
}

func (e *entry) deployment() (osupdate.Deployment, error) {
	d := osupdate.Deployment{Pinned: e.Pinned, SoftReboot: e.SoftReboot}
	switch {
	case e.OSTree != nil && e.OSTree.Checksum != "":
		d.Stateroot, d.Checksum = e.OSTree.Stateroot, e.OSTree.Checksum
		if d.Stateroot == "" {
			d.Stateroot = "default" // versions before 1.1 do not tell, and it is the only one that they make
		}
		d.ID = fmt.Sprintf("%s-%s.%d", d.Stateroot, d.Checksum, e.OSTree.Serial)
	case e.Composefs != nil && e.Composefs.Verity != "":
		d.ID, d.Checksum = "composefs-"+e.Composefs.Verity, e.Composefs.Verity
	default:
		return d, fmt.Errorf("a deployment is neither of ostree nor of composefs")
	}
	if im := e.Image; im != nil {
		d.Version, d.Time = im.Version, stamp(im.Timestamp)
		d.Image = &osupdate.Image{Reference: im.Image.Image, Transport: im.Image.Transport, Digest: im.Digest,
			Signature: signature(im.Image.Signature)}
		d.Tracks, d.Signature = tracks(d.Image), d.Image.Signature
	}
	return d, nil
}

// signature is a string ("containerPolicy", "insecure"), an object
// {"ostreeRemote": NAME}, null or missing: then no signature is checked.
func signature(raw json.RawMessage) string {
	var word string
	var remote struct {
		Name string `json:"ostreeRemote"`
	}
	switch {
	case json.Unmarshal(raw, &word) == nil && word == "containerPolicy":
		return "policy"
	case word == "insecure" || len(raw) == 0 || string(raw) == "null":
		return "insecure"
	case json.Unmarshal(raw, &remote) == nil && remote.Name != "":
		return "remote:" + remote.Name
	}
	return "unknown"
}

func stamp(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &t
}
