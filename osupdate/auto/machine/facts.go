package machine

import "time"

// Facts is what is seen now.
type Facts struct {
	Now     time.Time
	Boot    string   // id of this boot; a soft reboot keeps it
	Running Release  // what runs
	Next    Release  // what boots next; unknown where that cannot be told
	Back    bool     // there is a system to go back to
	Chosen  bool     // a person, or the boot loader, chose what boots next
	Manager string   // who else updates this host; tbx then only looks
	Busy    string   // who works on the host now
	Blocks  []string // what speaks against fetching now
	Firm    bool     // one of them holds even when the deadline has passed
	Permit  Permit   // whether the machine may be restarted now
}

// Permit is what the owner's policy says of a restart at this moment.
type Permit struct {
	Allowed bool   `json:"allowed"`
	Why     string `json:"why"` // completes "the machine is restarted …" or says what it waits for
}

// Policy is what of the settings matters for the decision.
type Policy struct {
	Enabled          bool
	CheckEvery       time.Duration
	Deadline         time.Duration // after which conditions give way; 0: never
	SecurityDeadline time.Duration
	Fleet            bool // there is a server with the fleet's slots
	Lock             bool // a restart needs one of them
}

// Action is one thing to do.
type Action string

// The actions.
const (
	Nothing    Action = ""
	Check      Action = "check"    // ask the source for the newest release
	Stage      Action = "stage"    // have it boot next
	Withdraw   Action = "withdraw" // take back what boots next
	Restarting Action = "restart"  // restart the machine
	Prove      Action = "prove"    // look whether the running system is healthy
	GoBack     Action = "go back"  // have the previous system boot next
	Lock       Action = "lock"     // ask the fleet for a slot
	Unlock     Action = "unlock"   // give it back
)

// Outcome is what an action came to.
type Outcome struct {
	Now      time.Time
	Err      *Trouble // Kind and Text of the failure; nil: it was done
	Refused  bool     // of Lock: the server answered, and its answer is no
	Found    Release  // of Check: what is newer; unknown: nothing is. Of Stage: what boots next now
	Exact    bool     // of Check: the fleet chose it, and nothing else is taken
	Notes    []string // of Check: why there is nothing newer
	Security bool     // of Check: it mends something dangerous
	Healthy  Health   // of Prove
	Reasons  []string // of Prove: what is wrong, or what is waited for
	Judge    string   // of Prove: who goes back instead of tbx: greenboot, boot counting
}

// Health is what a look at the running system said.
type Health int

// What it can be.
const (
	Pending Health = iota // it cannot be told yet
	Healthy
	Unhealthy
)
