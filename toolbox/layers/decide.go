package layers

// Place is the state of a container's name in an exchange.
type Place int

// The places.
const (
	Gone      Place = iota // there is no such container
	AtName                 // it has the toolbox's name
	Apart                  // it has a name that tbx gives a container while it works on it
	Elsewhere              // somebody gave it another one
)

// Half is one of the two containers of an exchange, in its present state.
type Half struct {
	Place  Place
	Marked bool // its layer has the mark: it has none of the user's files
	Empty  bool // its layer has no entries
}

// Step repairs an exchange that did not end.
type Step int

// The steps. Each ends with one container that has the toolbox's name and all of the
// user's files.
const (
	Nothing   Step = iota // nothing to repair
	DropNew               // remove the new container; the old one is as it was
	GoBack                // give the old container its name back, remove the new one if there is one
	GoOn                  // give the new container the name, then Finish
	Finish                // record the new settings, remove the old container, which is empty
	Ambiguous             // it is unknown where the user's files are: touch nothing
)

// Decide returns the step for the two containers of an exchange that was interrupted:
// old, the former toolbox, and new, the next one.
//
// The order of an exchange is: new is made Apart; old goes Apart; new gets the mark; the
// layers are exchanged, and old has the mark; new goes AtName; old is removed.
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
	case new.Place != Apart: // tbx's order never leaves that
		return Ambiguous
	case old.Place == Apart:
		return GoBack
	}
	return DropNew
}

// decideNew is Decide without the old container. With the mark, the new one is empty.
// Without it, nobody can know whether it was exchanged, unless it has its name already,
// or no files: podman made it when its tbx was killed, and the toolbox was edited again.
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
