package layers

import (
	"fmt"
	"testing"
)

// order is what an exchange passes through, from the beginning to the end and, when
// the toolbox does not start then, back again.
func order() []struct{ old, new Half } {
	return []struct{ old, new Half }{
		{Half{Place: AtName}, Half{}},
		{Half{Place: AtName}, Half{Place: Apart}},
		{Half{Place: Apart}, Half{Place: Apart}},
		{Half{Place: Apart}, Half{Place: Apart, Marked: true}},
		{Half{Place: Apart, Marked: true}, Half{Place: Apart}}, // exchanged
		{Half{Place: Apart, Marked: true}, Half{Place: AtName}},
		{Half{}, Half{Place: AtName}},
	}
}

// carryOut does to two halves what a step says, and fails if it removes the one that
// has the user's files.
func carryOut(step Step, old, new Half) (Half, Half, error) {
	remove := func(h *Half, empty bool) error {
		if h.Place != Gone && !empty {
			return fmt.Errorf("the files are removed")
		}
		*h = Half{}
		return nil
	}
	switch step {
	case DropNew:
		return old, Half{}, remove(&new, !old.Marked)
	case GoBack:
		old.Place = AtName
		return old, Half{}, remove(&new, !old.Marked)
	case GoOn:
		new.Place = AtName
		return Half{}, new, remove(&old, old.Marked)
	case Finish:
		return Half{}, new, remove(&old, old.Marked)
	}
	return old, new, nil
}

// TestE1_EveryStateOfAnExchange: wherever an exchange is interrupted, the step that is
// chosen keeps the user's files and ends with one toolbox, which has its name.
func TestE1_EveryStateOfAnExchange(t *testing.T) {
	want := []Step{Nothing, DropNew, GoBack, GoBack, GoOn, Finish, Finish}
	for i, s := range order() {
		step := Decide(s.old, s.new)
		if step != want[i] {
			t.Errorf("%d: %v %v: %d, want %d", i, s.old, s.new, step, want[i])
		}
		old, new, err := carryOut(step, s.old, s.new)
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if (old.Place == AtName) == (new.Place == AtName) {
			t.Errorf("%d: ends with %v %v", i, old, new)
		}
		if again := Decide(old, new); again != Nothing && again != Finish {
			t.Errorf("%d: a second look says %d", i, again)
		}
	}
}

// TestE1_NothingIsGuessed: of every state that no order of tbx's leaves, and in which
// the files may be on either side, nothing is touched; and never is a container removed
// that has no mark while the other has none either, unless the other was never moved.
func TestE1_NothingIsGuessed(t *testing.T) {
	places := []Place{Gone, AtName, Apart, Elsewhere}
	known := map[[2]Half]bool{}
	for _, s := range order() {
		known[[2]Half{s.old, s.new}] = true
	}
	for _, op := range places {
		for _, np := range places {
			for _, om := range []bool{false, true} {
				for _, nm := range []bool{false, true} {
					old, new := Half{Place: op, Marked: om && op != Gone}, Half{Place: np, Marked: nm && np != Gone}
					step := Decide(old, new)
					lost := step == DropNew && (old.Marked || new.Place == Gone) ||
						step == GoBack && old.Marked ||
						(step == GoOn || step == Finish) && (new.Marked || new.Place == Gone || old.Place != Gone && !old.Marked)
					if lost {
						t.Errorf("%v %v: step %d loses what is in it", old, new, step)
					}
					if old.Marked && new.Marked && step != Ambiguous {
						t.Errorf("%v %v: both are empty, and step %d is taken", old, new, step)
					}
					if np == Elsewhere && !old.Marked && step != Ambiguous && !(op == Gone && !new.Marked) && !known[[2]Half{old, new}] {
						t.Errorf("%v %v: step %d", old, new, step)
					}
				}
			}
		}
	}
}

// TestE1_MadeTooLate: a container that podman finished when its tbx was killed and the
// edit begun anew is removed if there is not one file in it, and else is not touched.
func TestE1_MadeTooLate(t *testing.T) {
	for new, want := range map[Half]Step{
		{Place: Apart, Empty: true}:               DropNew,
		{Place: Apart}:                            Ambiguous,
		{Place: Apart, Empty: true, Marked: true}: Ambiguous,
		{Place: Elsewhere, Marked: true}:          Ambiguous,
		{Place: AtName}:                           Finish,
	} {
		if got := Decide(Half{}, new); got != want {
			t.Errorf("%+v: %d, want %d", new, got, want)
		}
	}
}
