// Package fleetlocktest is a FleetLock server for tests, with slots in memory or in a
// real etcd. It answers as airlock does.
package fleetlocktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
)

// ErrFull is that all slots are held by others.
var ErrFull = errors.New("all slots are held")

// Slots are those of every group.
type Slots interface {
	// Hold gives id a slot of the group, of which there are most; twice is once.
	Hold(ctx context.Context, group, id string, most int) error
	// Leave takes it back; one that is not held is none too many.
	Leave(ctx context.Context, group, id string) error
}

// Server is an http.Handler.
type Server struct {
	Groups map[string]int // how many slots a group has
	Slots  Slots

	mu       sync.Mutex
	requests int
}

// Requests is how many there were.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

var groupForm = regexp.MustCompile(`^[a-zA-Z0-9.-]+$`)

// ServeHTTP answers both requests of the protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	s.mu.Unlock()
	no := func(code int, kind, format string, args ...any) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(map[string]string{"kind": kind, "value": fmt.Sprintf(format, args...)})
	}
	const who = "invalid_client_identity"
	var body struct {
		Params struct{ ID, Group string } `json:"client_params"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&body)
	most, known := s.Groups[body.Params.Group]
	switch {
	case r.Method != http.MethodPost:
		no(http.StatusBadRequest, who, "method %s", r.Method)
	case r.Header.Get("fleet-lock-protocol") != "true":
		no(http.StatusBadRequest, who, "wrong 'fleet-lock-protocol' header")
	case err != nil || body.Params.ID == "" || !groupForm.MatchString(body.Params.Group):
		no(http.StatusBadRequest, who, "failed to validate client identity")
	case !known:
		no(http.StatusBadRequest, "unknown_group", "unknown group %q", body.Params.Group)
	case r.URL.Path == "/v1/pre-reboot":
		err = s.Slots.Hold(r.Context(), body.Params.Group, body.Params.ID, most)
		switch {
		case errors.Is(err, ErrFull):
			no(http.StatusInternalServerError, "failed_lock", "all %d semaphore slots currently locked", most)
		case err != nil:
			no(http.StatusInternalServerError, "failed_sem_init", "failed to initialize semaphore manager: %v", err)
		}
	case r.URL.Path == "/v1/steady-state":
		if err := s.Slots.Leave(r.Context(), body.Params.Group, body.Params.ID); err != nil {
			no(http.StatusInternalServerError, "failed_sem_init", "failed to initialize semaphore manager: %v", err)
		}
	default:
		http.NotFound(w, r)
	}
}

// Memory keeps slots as long as the test runs.
type Memory struct {
	mu      sync.Mutex
	holders map[string][]string
}

// Hold is that of Slots.
func (m *Memory) Hold(_ context.Context, group, id string, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.holders[group], id) {
		return nil
	}
	if len(m.holders[group]) >= most {
		return ErrFull
	}
	if m.holders == nil {
		m.holders = map[string][]string{}
	}
	m.holders[group] = append(m.holders[group], id)
	return nil
}

// Leave is that of Slots.
func (m *Memory) Leave(_ context.Context, group, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holders == nil {
		return nil
	}
	m.holders[group] = slices.DeleteFunc(m.holders[group], func(h string) bool { return h == id })
	return nil
}

// Holders are those of a group, in the order in which they came.
func (m *Memory) Holders(group string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.holders[group])
}
