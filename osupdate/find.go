package osupdate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Find resolves an index, an id, a version, a checksum (or its first eight characters or
// more), or one of booted, next and rollback. An id or an index is exact; any other name
// that fits several systems is refused with their indexes.
func (s *State) Find(name string) (*Deployment, error) {
	if d := s.byID(name); d != nil {
		return d, nil
	}
	if n, err := strconv.Atoi(name); err == nil && (s.OwnIndex || len(name) < 4) {
		for i := range s.Deployments {
			if s.Deployments[i].Index == n {
				return &s.Deployments[i], nil
			}
		}
	}
	return s.only(name, func(d *Deployment) bool {
		return d.Version != "" && d.Version == name || len(name) >= 8 && strings.HasPrefix(d.Checksum, name) ||
			name == "booted" && d.Booted || name == "next" && d.Next || name == "rollback" && d.Rollback
	})
}

// only returns the one system that fits.
func (s *State) only(name string, fits func(*Deployment) bool) (*Deployment, error) {
	var found []*Deployment
	for i := range s.Deployments {
		if d := &s.Deployments[i]; fits(d) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail.New(ErrNotFound, "deployment %q: this host has none of that name", name).
			Hint("see the indexes in: tbx host status")
	case 1:
		return found[0], nil
	}
	var indexes []string
	for _, d := range found {
		indexes = append(indexes, strconv.Itoa(d.Index))
	}
	return nil, fail.New(fail.Usage, "deployment %q names several systems of this host: %s", name, strings.Join(indexes, " and ")).
		Hint("give the index of the one that you mean, see: tbx host status")
}

// Back resolves the target of a rollback; empty means the previous system, or the running
// one if it is not the default.
func (s *State) Back(target string) (*Deployment, error) {
	if target != "" {
		return s.Find(target)
	}
	booted, next := s.Booted(), s.Next()
	if s.wentBack && next != nil {
		return next, nil // a second rollback does nothing
	}
	if booted != nil && next == nil {
		return nil, fail.New(ErrNoRollback, "it is not known what boots next, nor what a rollback would change").
			Hint("name the system to boot next: tbx host rollback booted, or an index from tbx host status")
	}
	if booted != nil && next != booted && !next.Staged && (s.Boot.State == BootRollback || s.Waits() == next && s.older(next, booted)) {
		return next, nil // rolled back already; a second one does nothing
	}
	if i := slices.IndexFunc(s.Deployments, func(d Deployment) bool { return d.Rollback }); i >= 0 {
		return &s.Deployments[i], nil
	}
	if waits := s.Waits(); waits != nil || s.Downloaded() != nil {
		return nil, fail.New(ErrNoRollback, "this host has no system older than the running one to go back to").
			Hint("to stay with the running system, withdraw what waits for the next boot: tbx host cancel")
	}
	return nil, fail.New(ErrNoRollback, "this host has no other system to go back to").
		Hint("keep one by pinning before the next upgrade: tbx host pin booted")
}
