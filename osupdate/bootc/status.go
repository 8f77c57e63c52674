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
	OSTree       *struct {
		Stateroot string `json:"stateroot"`
		Checksum  string `json:"checksum"`
		Serial    int    `json:"deploySerial"`
	} `json:"ostree"`
	Composefs *struct {
		Verity string `json:"verity"`
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
	cached       *osupdate.Update
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
	order := []*entry{st.Booted, st.Rollback}
	if st.RollbackQueued {
		order = []*entry{st.Rollback, st.Booted}
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
		a.state.Deployments = append(a.state.Deployments, d)
	}
	if st.Booted != nil {
		a.incompatible = st.Booted.Incompatible
		if c := st.Booted.Cached; c != nil && st.Booted.Image != nil && c.Digest != st.Booted.Image.Digest {
			a.cached = &osupdate.Update{Version: c.Version, Checksum: c.Digest, Time: stamp(c.Timestamp), Source: "bootc"}
		}
		if st.Overlay != nil {
			for i := range a.state.Deployments {
				if d := &a.state.Deployments[i]; d.Booted {
					d.Unlocked = "development"
				}
			}
		}
	}
	a.state.Arrange()
	if n := a.state.Next(); n != nil && n.Locked {
		a.state.Reboot = ""
		a.state.Warnings = append(a.state.Warnings, n.Name()+" is downloaded and is not applied until: tbx host upgrade")
	}
	return a, nil
}

func (e *entry) deployment() (osupdate.Deployment, error) {
	d := osupdate.Deployment{Pinned: e.Pinned}
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
		d.Image = &osupdate.Image{Reference: im.Image.Image, Transport: im.Image.Transport, Digest: im.Digest, Signature: signature(im.Image.Signature)}
		d.Tracks = im.Image.Image
		if im.Image.Transport != "" && im.Image.Transport != "registry" {
			d.Tracks = im.Image.Transport + ":" + im.Image.Image
		}
	}
	return d, nil
}

// signature is a string ("containerPolicy", "insecure"), an object
// {"ostreeRemote": NAME}, null or missing.
func signature(raw json.RawMessage) string {
	var word string
	var remote struct {
		Name string `json:"ostreeRemote"`
	}
	switch {
	case json.Unmarshal(raw, &word) == nil && word == "containerPolicy":
		return "policy"
	case word == "insecure":
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
