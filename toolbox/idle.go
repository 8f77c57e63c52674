package toolbox

import (
	"context"
	"time"
)

// StopIdle stops a toolbox with no process but its first. One in use, or not running, is
// left as it is.
func (m *Manager) StopIdle(ctx context.Context, name Name) error {
	lock, err := m.lock(ctx, name)
	if err != nil {
		return err
	}
	defer lock.Close()
	b, err := m.Find(ctx, name)
	if err != nil {
		return err
	}
	if b.State != Running || !m.idle(b) {
		return nil
	}
	e, err := m.Engine(ctx)
	if err != nil {
		return err
	}
	const grace = 2 * time.Second
	return m.stop(ctx, e, b, grace)
}

// idle reports whether the toolbox has no process but its first. If that is not known, it
// is not idle.
func (m *Manager) idle(b *Box) bool {
	beside, known := m.beside(b)
	return known && len(beside) == 0
}
