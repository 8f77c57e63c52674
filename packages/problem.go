package packages

import (
	"errors"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Kinds of failure of a package manager that are told apart.
var (
	ErrLocked  = errors.New("locked")             // another package manager is at work
	ErrFetch   = errors.New("not fetched")        // a repository does not answer, or is gone
	ErrSpace   = errors.New("no space")           // a file system is full
	ErrBroken  = errors.New("broken")             // the package manager is not whole
	ErrSilent  = errors.New("silent")             // it said nothing for too long, and was ended
	ErrStopped = errors.New("stopped on the way") // the user ended it
)

// problem is what a package manager says when something known is wrong.
type problem struct {
	kind    error
	pattern *regexp.Regexp
}

func says(kind error, pattern string) problem {
	return problem{kind, regexp.MustCompile(`(?im)` + pattern)}
}

// saysMissing is a problem of kind fail.NotFound: there is no such package.
func saysMissing(pattern string) problem { return says(fail.NotFound, pattern) }

// common are what libraries say that all package managers use.
var common = []problem{
	says(ErrSpace, `no space left on device|disk quota exceeded|not enough free (disk )?space|needs? \S+ (more|on the) .*filesystem`),
	says(ErrFetch, `could(n't| not) resolve (host|hostname)|temporary failure (in name )?resolving`),
	says(ErrFetch, `connection (refused|timed out)|network is unreachable`),
}

// kindOf is the kind of failure that out tells of, or nil.
func (m *Manager) kindOf(out string) error {
	_, kind := m.known(out)
	return kind
}

// known is the line of out that tells of a failure, and its kind, or nothing.
func (m *Manager) known(out string) (line string, kind error) {
	for _, p := range append(m.problems, common...) {
		at := p.pattern.FindStringIndex(out)
		if at == nil {
			continue
		}
		begin := strings.LastIndexByte(out[:at[0]], '\n') + 1
		line, _, _ := strings.Cut(out[begin:], "\n")
		return strings.TrimSpace(line), p.kind
	}
	return "", nil
}

// failure is the error of a command that ended with a code and said out.
func (m *Manager) failure(what string, code int, out string) error {
	said, kind := m.known(out)
	e := fail.New(kind, "%s could not %s (exit code %d)", m.Name, what, code)
	if said == "" {
		said = lastWords(out)
	}
	if said != "" {
		e.Cause = errors.New(said)
	}
	switch {
	case errors.Is(kind, ErrLocked):
		e.Hint("another package manager is at work in it; wait for that, or end it")
	case errors.Is(kind, ErrFetch):
		e.Hint("check the network, and the repositories that it is set up with")
	case errors.Is(kind, ErrSpace):
		e.Hint("make room: see df -h, in the toolbox and on the host")
	}
	return e
}

// lastWords is the line that says what went wrong: the last one that looks like an error,
// or the last one.
func lastWords(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	looks := regexp.MustCompile(`(?i)^(E:|error|ERROR|Problem|dpkg: error|Failed|fatal)`)
	for i := len(lines) - 1; i >= 0; i-- {
		if looks.MatchString(strings.TrimSpace(lines[i])) {
			return strings.TrimSpace(lines[i])
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
