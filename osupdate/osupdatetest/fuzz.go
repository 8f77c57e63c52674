package osupdatetest

import (
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

// Use does with a state that was read from any bytes what tbx does with it, and
// checks what must hold for every one that a Host would believe.
func Use(t *testing.T, s *osupdate.State) {
	t.Helper()
	if s.Sound() != nil {
		return
	}
	checkOrder(t, s)
	hash := s.Hash()
	if back, err := s.Back(""); err == nil && len(s.Deployments) < 2 && !back.Next {
		t.Errorf("a way back to %q, and no other system", back.ID)
	}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		d.Name()
		if found, err := s.Find(d.ID); err != nil {
			t.Errorf("%q is not found by its own name: %v, %v", d.ID, found, err)
		}
	}
	osupdate.Containerfile(s, osupdate.Manager{})
	if s.Arrange().Hash() != hash {
		t.Error("arranged twice it is another state")
	}
}
