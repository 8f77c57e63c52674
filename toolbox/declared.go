package toolbox

import (
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
)

// AppliedFile is tbx apply's record of its work in a toolbox, by the specification's id.
// It is removed with the toolbox, and by a rollback that undoes that work.
func (m *Manager) AppliedFile(id string) string {
	return filepath.Join(m.Host.Dirs.State, "applied", filepath.Base(id)+".json")
}

// Declared returns the Change of an EditRequest that sets all settings to o.
func (m *Manager) Declared(o CreateOptions) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) {
		if o.Isolated != now.Isolated {
			return nil, fail.New(fail.Usage, "toolbox %s cannot change between isolated and not isolated", o.Name)
		}
		if o.Isolated && o.Memory == "" {
			o.Memory = now.Memory // the default is chosen once, when a toolbox is made
		}
		if o.Isolated && o.Pids == 0 {
			o.Pids = now.Pids
		}
		return m.settings(o.Name, now, o)
	}
}

// WouldDiffer lists the changes that an edit by Declared would make in b, a toolbox of
// tbx. behind: b's settings were changed and its container was not yet; the edit would
// update it.
func (m *Manager) WouldDiffer(b *Box, o CreateOptions) (d []Difference, behind bool, err error) {
	now, err := m.Settings(b)
	if err != nil {
		return nil, false, err
	}
	s, err := m.Declared(o)(now)
	if err != nil {
		return nil, false, err
	}
	return differences(now, s), now == b.Spec && b.Labels[LabelSpec] != b.Spec.Hash(), nil
}

// InUse lists the processes in a toolbox other than its first.
func (m *Manager) InUse(b *Box) []Process { return m.inUse(b) }

// Settings returns the settings of a new toolbox, as differences from nothing.
func (d *Draft) Settings() []Difference {
	none := &Spec{Version: d.spec.Version, ID: d.spec.ID, Created: d.spec.Created, Declared: d.spec.Declared}
	return differences(none, d.spec)
}
