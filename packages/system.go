package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/osrelease"
)

// Command is one call of a program.
type Command struct {
	Args []string
	Env  []string  // NAME=VALUE, beside what its user has
	In   io.Reader // what it can read; nil: nothing

	AsUser bool   // as the system's user, not as root
	Dir    string // where it begins; empty: the root directory
	Whole  bool   // who ends it ends all that it has started, and need not wait for long
}

// Runner runs a command and returns its exit code. When ctx ends it asks the command to
// end, and waits until it has. The error is that the command could not be run.
type Runner func(ctx context.Context, c Command, out, errs io.Writer) (code int, err error)

// System is a system with a package manager.
type System struct {
	*Manager
	OS map[string]string // os-release(5)

	// Silence is how long a command may say nothing before it is ended; 0: for ever.
	Silence time.Duration
	// Said is told each line that a command writes; nil: nobody.
	Said func(line string)
	// Before is called once before UpgradeAll changes packages; its error ends that. nil:
	// nobody.
	Before func(context.Context) error

	run Runner
}

// maxSaid is how much is kept of what a command writes, in bytes.
const maxSaid = 32 << 20

// Open finds out which package manager a system has. The error wraps fail.Unable where it
// has none that is known.
func Open(ctx context.Context, run Runner) (*System, error) {
	var programs []string
	for _, m := range Managers() {
		programs = append(programs, m.Programs...)
	}
	const script = `for p in "$@"; do command -v "$p" >/dev/null 2>&1 && echo "$p"; done; echo --
cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null; true`
	out, errs := bounded.Buffer{Most: 1 << 16}, bounded.Buffer{Most: 1 << 12}
	code, err := run(ctx, Command{Args: append([]string{"sh", "-c", script, "sh"}, programs...)}, &out, &errs)
	if err != nil {
		return nil, err
	}
	none := fail.New(fail.Unable, "it has no package manager that tbx knows").Hint("tbx knows: %s", strings.Join(names(), ", "))
	if code != 0 {
		return nil, none
	}
	have, release, _ := strings.Cut(out.String(), "--\n")
	os, err := osrelease.Parse(strings.NewReader(release))
	if err != nil {
		os = map[string]string{}
	}
	if m := detect(strings.Fields(have), os); m != nil {
		return &System{Manager: m, OS: os, run: run}, nil
	}
	return nil, none
}

func names() []string {
	var out []string
	for _, m := range Managers() {
		out = append(out, m.Name)
	}
	return out
}

// detect chooses by the programs that are there, and among several by os-release.
func detect(have []string, os map[string]string) *Manager {
	var found []*Manager
	for _, m := range Managers() {
		if !slices.ContainsFunc(m.Programs, func(p string) bool { return !slices.Contains(have, p) }) {
			found = append(found, m)
		}
	}
	for _, id := range append([]string{os["ID"]}, strings.Fields(os["ID_LIKE"])...) {
		for _, m := range found {
			if slices.Contains(m.IDs, id) {
				return m
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// result is what a command said: its results, and with what else it wrote.
type result struct {
	code     int
	out, all string
}

// stream is one of the two that a command writes. Whole lines of it go to what both
// write, so that none is torn by the other's, and to a listener.
type stream struct {
	shared *shared
	own    io.Writer
	rest   string // a line that has not ended
}

// shared is what the streams of a command have in common.
type shared struct {
	mu   sync.Mutex
	all  bounded.Buffer
	said func(string)
	last atomic.Int64 // when something came, in nanoseconds since 1970
}

func (st *stream) Write(p []byte) (int, error) {
	sh := st.shared
	sh.last.Store(time.Now().UnixNano())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st.own.Write(p) // what is too much is left out
	st.rest += string(p)
	for {
		i := strings.IndexAny(st.rest, "\n\r")
		if i < 0 {
			break
		}
		st.line(st.rest[:i])
		st.rest = st.rest[i+1:]
	}
	const longest = 4 << 10
	if len(st.rest) > longest {
		st.line(st.rest)
		st.rest = ""
	}
	return len(p), nil
}

// line is called with the lock held, or when nothing writes any more.
func (st *stream) line(text string) {
	fmt.Fprintln(&st.shared.all, text)
	if text = strings.TrimSpace(text); text != "" && st.shared.said != nil {
		st.shared.said(text)
	}
}

// call runs a command once.
func (s *System) call(ctx context.Context, args []string) (result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := bounded.Buffer{Most: maxSaid}
	sh := &shared{all: bounded.Buffer{Most: maxSaid}, said: s.Said}
	sh.last.Store(time.Now().UnixNano())
	if s.Silence > 0 {
		go s.watch(ctx, cancel, &sh.last)
	}
	results, messages := &stream{shared: sh, own: &out}, &stream{shared: sh, own: io.Discard}
	code, err := s.run(ctx, Command{Args: args, Env: s.Env}, results, messages)
	for _, st := range []*stream{results, messages} {
		if st.rest != "" {
			st.line(st.rest)
		}
	}
	r := result{code, out.String(), sh.all.String()}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrSilent):
		e := fail.New(ErrSilent, "%s said nothing for %v, and was ended", s.Name, s.Silence)
		if said := lastWords(r.all); said != "" {
			e.Cause = fmt.Errorf("its last words were: %s", said)
		}
		return r, e.Hint("it may have waited for an answer that nobody could give; call it by hand to see").
			Hint("to wait longer: --timeout")
	case cause != nil:
		return r, fail.Wrap(ErrStopped, cause, "%s was ended on the way", s.Name)
	}
	return r, err
}

// watch ends a command that says nothing.
func (s *System) watch(ctx context.Context, cancel context.CancelCauseFunc, last *atomic.Int64) {
	for {
		quiet := time.Since(time.Unix(0, last.Load()))
		if quiet >= s.Silence {
			cancel(ErrSilent)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Silence - quiet):
		}
	}
}

// lockPoll is how often a package manager that found another at work is called again.
const lockPoll = 2 * time.Second

// do runs a command that must succeed, and waits while another package manager is at
// work, for as long as a command may be silent.
func (s *System) do(ctx context.Context, what string, args []string) (result, error) {
	begin := time.Now()
	for {
		r, err := s.call(ctx, args)
		if err != nil || r.code == 0 || s.Fine[r.code] {
			return r, err
		}
		err = s.failure(what, r.code, r.all)
		if !errors.Is(err, ErrLocked) || s.Silence > 0 && time.Since(begin) > s.Silence {
			return r, err
		}
		if s.Said != nil {
			s.Said("waiting for another package manager")
		}
		select {
		case <-ctx.Done():
			return r, fail.Wrap(ErrStopped, context.Cause(ctx), "%s was ended on the way", s.Name)
		case <-time.After(lockPoll):
		}
	}
}
