package hostbridge

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// A toolbox must not use up a shared resource. Each always gets its part, and a toolbox
// with more than its part gives way.

// slots counts running commands. It is safe for use by several goroutines.
type slots struct {
	mu   sync.Mutex
	used map[string]int // by the toolbox's id
	all  int
}

// leastSlots is the smallest part of a toolbox, however many toolboxes there are.
const leastSlots = 8

// take reserves a slot for a toolbox; boxes is the number of toolboxes served.
func (s *slots) take(box string, boxes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	part := max(leastSlots, maxAll/max(boxes, 1))
	if s.used[box] >= maxRunning || s.all >= maxAll && s.used[box] >= part {
		return false
	}
	if s.used == nil {
		s.used = map[string]int{}
	}
	s.used[box]++
	s.all++
	return true
}

func (s *slots) free(box string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.used[box]--; s.used[box] == 0 {
		delete(s.used, box)
	}
}

// running returns the number of running commands.
func (s *slots) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// silentLimit is the limit of silent connections of all toolboxes: a part of this
// process's descriptors.
func silentLimit() int {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return maxWaiting
	}
	return int(min(max(lim.Cur/4, 16), 16*maxWaiting))
}

// hold remembers a connection that has sent nothing yet. If there are too many, the
// toolbox with the most of them loses its oldest one.
func (a *agent) hold(s *served, conn *net.UnixConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.mu.Lock()
	s.waiting = append(s.waiting, conn)
	most, all := s, len(s.waiting)
	count := all
	s.mu.Unlock()
	for _, other := range a.boxes {
		if other != s {
			other.mu.Lock()
			n := len(other.waiting)
			other.mu.Unlock()
			if all += n; n > count {
				most, count = other, n
			}
		}
	}
	if all > a.silent {
		most.hangUpOldest()
	} else if s.waitingNow() > maxWaiting {
		s.hangUpOldest()
	}
}

func (s *served) waitingNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

func (s *served) hangUpOldest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		s.waiting[0].Close()
		s.waiting = s.waiting[1:]
	}
}
