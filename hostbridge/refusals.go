package hostbridge

import (
	"sync"
	"time"
)

// Limits of the log entries about refused requests. A toolbox makes these as fast as it
// likes.
const (
	refusalBurst = 200         // are written one by one
	refusalPause = time.Minute // then one in this time, and the others are counted in one line
)

// refusals counts a toolbox's refusals that the log does not list one by one. The zero
// value needs tell; it is safe for use by several goroutines.
type refusals struct {
	tell func(more uint64, last string) // writes the count

	mu    sync.Mutex
	rate  bucket
	more  uint64
	last  string // reason
	timer *time.Timer
}

// written reports whether a refusal gets an entry of its own. Otherwise it is counted,
// and the count is written within refusalPause.
func (r *refusals) written(now time.Time, reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rate.take(now) {
		return true
	}
	r.more, r.last = r.more+1, reason
	if r.timer == nil {
		r.timer = time.AfterFunc(refusalPause, r.flush)
	}
	return false
}

// flush writes the count.
func (r *refusals) flush() {
	r.mu.Lock()
	more, last := r.more, r.last
	r.more, r.last = 0, ""
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.mu.Unlock()
	if more > 0 {
		r.tell(more, last)
	}
}

// bucket lets burst events through at once and then perSec. It is safe for use by
// several goroutines.
type bucket struct {
	burst, perSec float64

	mu     sync.Mutex
	spent  float64
	latest time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.latest.IsZero() {
		b.spent = max(0, b.spent-now.Sub(b.latest).Seconds()*b.perSec)
	}
	b.latest = now
	if b.spent > b.burst-1 {
		return false
	}
	b.spent++
	return true
}
