package toolbox

import (
	"context"
	"time"
)

// StopIdle stops a toolbox in which nothing runs but its first process. One that somebody
// uses, or that does not run, is left as it is.
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

// idle says whether nothing runs in the toolbox but its first process. Where that cannot
// be known, it is not.
func (m *Manager) idle(b *Box) bool {
	beside, known := m.beside(b)
	return known && len(beside) == 0
}
