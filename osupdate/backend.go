package osupdate

import "context"

// Newer asks a registry which manifest reference names now. It returns that one's
// digest, or "" when it is the digest given; registry.Newer is the implementation.
type Newer func(ctx context.Context, reference, digest string) (string, error)

// Backend speaks one updater's dialect. Its methods start the real program,
// found at an absolute path by [Tools]; none of them keeps a state of its own.
// Each implementation passes osupdatetest.Run.
type Backend interface {
	// Kind names the updater.
	Kind() Kind

	// Capabilities says what it can do on this host. It reads files only.
	Capabilities() Capabilities

	// State reads the host. It changes nothing; where an ordinary user may not,
	// the error is ErrPermission and Host asks the root helper.
	State(ctx context.Context) (*State, error)

	// Check looks for an update of what the host tracks; nil when there is none.
	// It never changes what boots next.
	Check(ctx context.Context, s *State) (*Update, error)

	// Plan says which commands carry out r on a host in state s. It runs nothing
	// that changes anything. A request that is fulfilled already gives a plan
	// with Unchanged; one that the updater has no verb for, ErrUnsupported.
	Plan(ctx context.Context, s *State, r Request) (*Plan, error)

	// Explain turns the failure of one of its commands into an error of a kind
	// of this package with the next step as hint. It also gets commands that
	// ended with 0, for updaters that print an error and succeed: nil means fine.
	Explain(err *ToolError) error
}

// Limited is a Backend whose Check looks at less than upgrade takes. NotChecked
// says what was left out, each as a part of a sentence: "layered packages".
type Limited interface {
	NotChecked(s *State) []string
}

// KargsReader is a Backend that is asked for the kernel arguments of the next boot,
// which its State does not tell.
type KargsReader interface {
	NextKargs(ctx context.Context, s *State) ([]string, error)
}

// Differ is a Backend that can tell what two of its deployments differ in.
type Differ interface {
	Diff(ctx context.Context, from, to *Deployment) (*Diff, error)
}

// EtcDiffer is a Backend that can tell what the machine changed in /etc: lines
// of a letter of M, A and D, and a path below /etc.
type EtcDiffer interface {
	EtcDiff(ctx context.Context, s *State) ([]string, error)
}

// Merger is a Backend whose staged systems get this machine's /etc at the shutdown,
// when nobody looks.
type Merger interface {
	// MergeConflicts are the names below /etc that cannot be merged into what is staged.
	MergeConflicts(s *State) []string
}
