// Package flock serialises tbx processes of one user by flock(2) on a file. The kernel
// releases the lock when its holder dies, so nothing needs cleaning up.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// Lock is a held lock. Close releases it.
type Lock struct{ f *os.File }

// ErrBusy means that another process holds the lock.
var ErrBusy = errors.New("locked by another tbx")

// Try takes the lock on path at once or returns ErrBusy. It makes the file and
// its directory (mode 0700) where they are missing, and leaves the file.
func Try(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := eintr.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", path, ErrBusy)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Wait takes the lock on path, waiting until it is free or ctx ends, and then
// returns an error that wraps both ErrBusy and the context's.
func Wait(ctx context.Context, path string) (*Lock, error) {
	const poll = 10 * time.Millisecond // a blocking flock(2) could not be cancelled
	for {
		l, err := Try(path)
		if !errors.Is(err, ErrBusy) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// Close releases the lock.
func (l *Lock) Close() error { return l.f.Close() }
