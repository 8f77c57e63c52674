package toolbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// A specification is a file in the user's settings, which one variable of the caller
// moves and which is cleaned, synced and restored like any other. So the container
// carries what is needed to write it anew: a label, and beside what podman keeps of the
// container a copy as of the last start, because a label cannot be changed.

// specLabel is the value of LabelSpecification.
func (s *Spec) specLabel() string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) //nolint:forbidigo // a Spec holds nothing that JSON cannot
	}
	return string(data)
}

// specCopy is where a copy of the specification is.
func specCopy(b *Box) string {
	return filepath.Join(filepath.Dir(b.NamesTable), b.ID, "tbx.toml")
}

// keepSpec makes the copy what the specification is now.
func (m *Manager) keepSpec(b *Box) {
	if b.Spec == nil || b.NamesTable == "" {
		return
	}
	data := b.Spec.encode()
	if have, err := os.ReadFile(specCopy(b)); err == nil && bytes.Equal(have, data) {
		return
	}
	if err := atomicfile.Write(specCopy(b), data, 0o600); err != nil { // there is the label
		m.debug("toolbox %s keeps no copy of its specification: %v", b.Name, err)
	}
}

// restoreSpec writes the specification of b anew where it is missing, from what the
// container carries. Everything is known of the container, and it is tbx's.
func (m *Manager) restoreSpec(b *Box) {
	if !b.specMissing {
		return
	}
	s, exact := b.carried(m.Host)
	if s == nil {
		return
	}
	b.Spec, b.SpecErr, b.specMissing = s, nil, false
	if m.hasSpec(b.Name) {
		return // of another toolbox, which had the name before
	}
	if err := saveSpec(m.Host.Dirs.Config, b.Name, s); err != nil {
		m.Progress.Warn(err.Error(), "")
		return
	}
	text := fmt.Sprintf("the specification of toolbox %s was missing, and is written anew from its container: %s", b.Name,
		specFile(m.Host.Dirs.Config, b.Name))
	if exact {
		m.Progress.Remark(text, "")
		return
	}
	m.Progress.Warn(text, "it is made of what podman knows: look whether all is in it that you left out by --no-KEY, and options of volumes")
}

// carried returns the specification that the container carries, and whether it is that
// or a guess; nil where there is neither.
func (b *Box) carried(h *Host) (s *Spec, exact bool) {
	id := b.Labels[LabelID]
	if s, err := readSpec(specCopy(b), b.Name); err == nil && s.ID == id {
		return s, true
	}
	// Of a container that was made before there was this label, its image may have one.
	s = &Spec{}
	if json.Unmarshal([]byte(b.Labels[LabelSpecification]), s) == nil && s.ID == id && s.Hash() == b.Labels[LabelSpec] {
		return s, true
	}
	if b.Labels[LabelIsolated] == strconv.FormatBool(true) {
		return nil, false // what it may change of the host's is not to be guessed
	}
	return b.guessed(h)
}

// guessed makes a specification of what podman says of a container. exact says whether
// it is the one that the container was made of, by its hash.
func (b *Box) guessed(h *Host) (s *Spec, exact bool) {
	s = &Spec{Version: SpecVersion, ID: b.Labels[LabelID], Created: b.Created.UTC().Truncate(time.Second), Image: b.Image, ImageID: b.ImageID}
	known := map[string]string{}
	for _, mt := range h.facts(s).Mounts() {
		if mt.Integration != "" && mt.Target != boxRuntimeDir(h) {
			known[mt.Target] = mt.Integration
		}
	}
	for _, mt := range b.Mounts {
		key, shared := known[mt.Target]
		switch {
		case shared:
			delete(known, mt.Target)
			if key == integration.Home && mt.Source != h.RealHome {
				s.Home = mt.Source
			}
		case mt.Target == boxinit.BoxDir, mt.Target == boxinit.HostView, mt.Target == boxinit.Bridge, mt.Target == integration.HostRuntime,
			mt.Target == mt.Source && mt.Target == boxRuntimeDir(h):
		default:
			v := mt.Source + ":" + mt.Target
			if slices.Contains(mt.Options, "ro") {
				v += ":ro"
			}
			s.Volumes = append(s.Volumes, v)
		}
	}
	for _, i := range integration.All() { // in one order
		for _, key := range known {
			if i.Key == key {
				s.Without = append(s.Without, key)
			}
		}
	}
	const slow = 5 // seconds between the two times
	for range slow {
		if s.Hash() == b.Labels[LabelSpec] {
			return s, true
		}
		s.Created = s.Created.Add(-time.Second)
	}
	s.Created = s.Created.Add(slow * time.Second)
	return s, false
}
