package osupdate

import "context"

// Newer asks a registry which manifest a reference names now. It returns that digest, or
// "" if it is the given one; registry.Newer is the implementation.
type Newer func(ctx context.Context, reference, digest string) (string, error)

// Backend is the driver of one updater. Its methods start the real program, found at an
// absolute path by [Tools]; none of them keeps state. Each implementation passes
// osupdatetest.Run.
type Backend interface {
	// Kind names the updater.
	Kind() Kind

	// Capabilities returns what the updater can do on this host. It reads files only.
	Capabilities() Capabilities

	// State reads the host. It changes nothing. If an ordinary user may not, the error is
	// ErrPermission and Host asks the root helper.
	State(ctx context.Context) (*State, error)

	// Check looks for an update of what the host follows; nil if there is none. It never
	// changes what boots next.
	Check(ctx context.Context, s *State) (*Update, error)

	// Plan returns the commands that carry out r on a host in state s. It runs nothing
	// that changes anything. A fulfilled request gives a plan with Unchanged; a request
	// that the updater has no verb for, ErrUnsupported.
	Plan(ctx context.Context, s *State, r Request) (*Plan, error)

	// Explain turns the failure of one of its commands into an error of a kind of this
	// package, with a hint. It also gets commands that ended with 0, for updaters that
	// print an error and succeed: nil means success.
	Explain(err *ToolError) error
}

// Limited is a Backend whose Check covers less than its upgrade. NotChecked lists what
// was left out, each as a part of a sentence: "layered packages".
type Limited interface {
	NotChecked(s *State) []string
}

// KargsReader is a Backend that must be asked for the kernel arguments of the next boot,
// because its State does not have them.
type KargsReader interface {
	NextKargs(ctx context.Context, s *State) ([]string, error)
}

// Differ is a Backend that can compare two of its deployments.
type Differ interface {
	Diff(ctx context.Context, from, to *Deployment) (*Diff, error)
}

// EtcDiffer is a Backend that can list the machine's changes in /etc: lines of a letter
// of M, A and D, and a path below /etc.
type EtcDiffer interface {
	EtcDiff(ctx context.Context, s *State) ([]string, error)
}

// Merger is a Backend whose staged systems get this machine's /etc at shutdown, when
// nobody watches.
type Merger interface {
	// MergeConflicts lists the names below /etc that cannot be merged into the staged
	// system.
	MergeConflicts(s *State) []string
}
