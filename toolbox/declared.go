package toolbox

import (
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
)

// AppliedFile is where tbx apply keeps what it has brought into a toolbox, by the id of
// its specification. It goes with the toolbox, and with what a rollback takes back.
func (m *Manager) AppliedFile(id string) string {
	return filepath.Join(m.Host.Dirs.State, "applied", filepath.Base(id)+".json")
}

// Declared is the Change of an EditRequest that gives a toolbox the settings o, all of them.
func (m *Manager) Declared(o CreateOptions) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) {
		if o.Isolated != now.Isolated {
			return nil, fail.New(fail.Usage, "toolbox %s is made isolated or not, and stays so", o.Name)
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

// WouldDiffer lists what an edit by Declared would make different in b, of a toolbox that
// tbx made. behind says that b's settings were changed and its container was not yet: the
// edit would bring them into it.
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

// InUse lists what runs in a toolbox beside its first process.
func (m *Manager) InUse(b *Box) []Process { return m.inUse(b) }

// Settings are those of a new toolbox, as differences from nothing.
func (d *Draft) Settings() []Difference {
	none := &Spec{Version: d.spec.Version, ID: d.spec.ID, Created: d.spec.Created, Declared: d.spec.Declared}
	return differences(none, d.spec)
}
