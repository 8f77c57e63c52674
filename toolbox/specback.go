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

// A specification is a file among the user's settings, which a variable of the caller can
// move and which users clean up, synchronise and restore. So the container carries enough
// to write it again: a label, and, because a label cannot be changed, a copy from the
// last start beside podman's own files about the container.

// specLabel is the value of LabelSpecification.
func (s *Spec) specLabel() string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) //nolint:forbidigo // JSON can hold every Spec
	}
	return string(data)
}

// specCopy returns the path of the copy.
func specCopy(b *Box) string {
	return filepath.Join(filepath.Dir(b.NamesTable), b.ID, "tbx.toml")
}

// keepSpec updates the copy.
func (m *Manager) keepSpec(b *Box) {
	if b.Spec == nil || b.NamesTable == "" {
		return
	}
	data := b.Spec.encode()
	if have, err := os.ReadFile(specCopy(b)); err == nil && bytes.Equal(have, data) {
		return
	}
	if err := atomicfile.Write(specCopy(b), data, 0o600); err != nil { // there is still the label
		m.debug("toolbox %s keeps no copy of its specification: %v", b.Name, err)
	}
}

// restoreSpec rewrites the missing specification of b from what the container carries. b
// is inspected, and tbx's.
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
		return // it belongs to another toolbox, which had the name before
	}
	if err := saveSpec(m.Host.Dirs.Config, b.Name, s); err != nil {
		m.Progress.Warn(err.Error(), "")
		return
	}
	text := fmt.Sprintf("the specification of toolbox %s was missing, and was restored from its container: %s", b.Name,
		specFile(m.Host.Dirs.Config, b.Name))
	if exact {
		m.Progress.Remark(text, "")
		return
	}
	m.Progress.Warn(text, "it was made from podman's data: check the settings of --no-KEY, and options of volumes")
}

// carried returns the specification that the container carries, and whether it is exact
// or a guess; nil without either.
func (b *Box) carried(h *Host) (s *Spec, exact bool) {
	id := b.Labels[LabelID]
	if s, err := readSpec(specCopy(b), b.Name); err == nil && s.ID == id {
		return s, true
	}
	// An older container may not have this label, and then its image may set it.
	s = &Spec{}
	if json.Unmarshal([]byte(b.Labels[LabelSpecification]), s) == nil && s.ID == id && s.Hash() == b.Labels[LabelSpec] {
		return s, true
	}
	if b.Labels[LabelIsolated] == strconv.FormatBool(true) {
		return nil, false // its rights on the host must not be guessed
	}
	return b.guessed(h)
}

// guessed makes a specification from podman's data about a container. exact reports, by
// its hash, whether it is the one that the container was made from.
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
	for _, i := range integration.All() { // in a fixed order
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
