package layers

// Place is where a container of an exchange stands by its name.
type Place int

// The places.
const (
	Gone      Place = iota // there is no such container
	AtName                 // it has the toolbox's name
	Apart                  // it has the name that tbx gives a container while it works on it
	Elsewhere              // somebody gave it another one
)

// Half is one of the two containers of an exchange, as it is found.
type Half struct {
	Place  Place
	Marked bool // its layer has the mark: nothing of the user's is in it
	Empty  bool // there is not one name in its layer
}

// Step is what puts an exchange right that did not end.
type Step int

// The steps. Each ends with one container, which has the toolbox's name and all that
// is the user's.
const (
	Nothing   Step = iota // there is nothing to put right
	DropNew               // remove the new container; the old one is as it was
	GoBack                // give the old container its name back, remove the new one if there is one
	GoOn                  // give the new container the name, then Finish
	Finish                // record the new settings, remove the old container, which is empty
	Ambiguous             // it cannot be known where the user's files are: touch nothing
)

// Decide says what to do with the two containers of an exchange whose process ended
// in the middle: of old, which the toolbox was, and new, which it was to be.
//
// The order of an exchange is: new is made Apart; old goes Apart; new gets the mark;
// the layers are exchanged, and the mark is old's; new goes AtName; old is removed.
func Decide(old, new Half) Step {
	switch {
	case old.Place == Gone && new.Place == Gone:
		return Nothing
	case old.Place == Gone:
		return decideNew(new)
	case new.Place == Gone:
		return decideOld(old)
	case old.Marked && new.Marked:
		return Ambiguous
	case old.Marked: // exchanged
		switch {
		case old.Place == AtName:
			return Ambiguous
		case new.Place == Apart:
			return GoOn
		}
		return Finish
	case new.Place != Apart: // no order of tbx's leaves that
		return Ambiguous
	case old.Place == Apart:
		return GoBack
	}
	return DropNew
}

// decideNew is Decide without the old container: with the mark the new one was the one
// that is empty, and without it nobody can say whether it was exchanged, but where it
// has its name already, or not one file: podman made it when its tbx was killed and the
// toolbox edited once more.
func decideNew(new Half) Step {
	switch {
	case new.Place == Apart && new.Empty && !new.Marked:
		return DropNew
	case new.Marked || new.Place == Apart:
		return Ambiguous
	}
	return Finish
}

// decideOld is Decide without the new container.
func decideOld(old Half) Step {
	switch {
	case old.Marked:
		return Ambiguous
	case old.Place == Apart:
		return GoBack
	}
	return Nothing
}
