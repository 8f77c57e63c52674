package osupdate

import (
	"context"

	"github.com/tbx-project/tbx/internal/fail"
)

// Refusal is why a verb would be refused.
type Refusal struct {
	Problem string   `json:"problem"` // a name of a Problem
	Message string   `json:"message"`
	Hints   []string `json:"hints"`
}

// refuses is why r would be refused on s, before anything is done; nil where it would
// not, and where only root can tell.
func (h *Host) refuses(ctx context.Context, s *State, r Request) *Refusal {
	_, err := h.planOn(ctx, s, r)
	p := ProblemOf(err)
	if p == nil || p == ErrPermission {
		return nil
	}
	return &Refusal{Problem: p.Name, Message: err.Error(), Hints: fail.Hints(err)}
}
