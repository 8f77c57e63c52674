package toolbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Exit codes of run and enter that are tbx's own, as env(1) and podman have them.
const (
	ExitFailed   = 125 // tbx itself failed
	ExitDenied   = 126 // the command was found and cannot be run
	ExitNotFound = 127 // there is no such command
)

// ExitError carries the exit code of a session.
type ExitError struct {
	Code int
	Err  error // nil: the command's own failure, nothing to print
}

func (e *ExitError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return "exit code " + strconv.Itoa(e.Code)
}

func (e *ExitError) Unwrap() error { return e.Err }

// SessionOptions are the options of a session.
type SessionOptions struct {
	Args        []string // command and arguments; empty: the login shell
	Set         []string // NAME=VALUE or NAME, see EnvOptions
	Block       []string
	WorkDir     string // inside; empty: where the caller is
	Root        bool
	PreserveFDs int    // number of descriptors, from 3 on, that must reach the command
	Make        string // the call that makes the toolbox; empty: by its name
	Terminal    bool   // standard input and output are terminals
	Warn        func(text string)
	Remark      func(text, hint string) // a remark to make once; nil: nobody reads it
}

// Session is a session that is about to begin.
type Session struct {
	Record   *join.Record
	Bridge   []string     // variables of the bridge to the host; with them come the shims, last in PATH
	target   *join.Target // nil: by podman
	terminal string       // name inside of the caller's terminal; empty: none
	manager  *Manager
	host     *Host
	opts     SessionOptions
}

// Open finds the toolbox, starts it if necessary, and returns a session. It enters a
// running toolbox that is set up without asking podman.
func (m *Manager) Open(ctx context.Context, name Name, o SessionOptions) (*Session, error) {
	dir := m.Host.TbxRuntime()
	if r, err := join.Load(dir, string(name)); err == nil {
		t, err := r.Open(dir)
		if err == nil {
			p := &Session{Record: r, target: t, manager: m, host: m.Host, opts: o}
			p.dropBlind()
			return p, nil
		}
		m.debug("toolbox %s is not as recorded: %v", name, err)
		if errors.Is(err, join.ErrPaused) && !m.thawed(ctx, r.ID) {
			return nil, pausedError(name)
		} else if errors.Is(err, join.ErrPaused) {
			return m.Open(ctx, name, o)
		}
	}
	p := &Session{manager: m, host: m.Host, opts: o}
	return p, p.start(ctx, name)
}

// start calls Manager.Start, which repairs whatever changed, and reopens the record.
func (p *Session) start(ctx context.Context, name Name) error {
	var err error
	if p.Record, err = p.manager.start(ctx, name, cmp.Or(p.opts.Make, "tbx create "+string(name))); err != nil {
		return err
	}
	if p.target, err = p.Record.Open(p.host.TbxRuntime()); err != nil {
		if _, gone := join.StartTime(p.Record.PID); gone != nil {
			return fail.New(nil, "toolbox %s was stopped while it was being entered", name).Hint("enter it again: tbx enter %s", name)
		}
		p.manager.debug("toolbox %s is entered by podman exec: %v", name, err)
		p.target = nil
	}
	p.dropBlind()
	return nil
}

// dropBlind leaves the entry to podman if tbx cannot look into the toolbox.
func (p *Session) dropBlind() {
	if p.target != nil && p.target.Blind() {
		p.manager.debug("toolbox %s is entered by podman exec: its files are visible from inside only", p.Record.Name)
		p.target.Close()
		p.target = nil
	}
}

// OwnTerminal reports whether podman gives the session a terminal of the toolbox in any
// case.
func (p *Session) OwnTerminal() bool { return p.Record.Isolated || p.target == nil }

// Exec becomes the session: on success it does not return.
func (p *Session) Exec(ctx context.Context) error {
	for again := true; p.target != nil; again = false {
		if !p.Record.Isolated { // an isolated toolbox has terminals of its own
			p.terminal = p.target.NameTerminal()
		}
		s, err := p.compose()
		switch {
		case !p.target.Alive():
			err = join.ErrStale
		case err == nil && !p.Record.Isolated && again && p.target.LookPath(p.Record.Box, nil, "/") != nil:
			join.Forget(p.host.TbxRuntime(), p.Record.Name) // somebody removed tbx-box on the host: set it up again
			err = fmt.Errorf("%w: tbx-box is missing in it", join.ErrStale)
		case err == nil && p.Record.Isolated:
			err = p.byPodman(s)
		case err == nil:
			err = p.target.Exec(s, p.host.RuntimeDir)
		}
		switch {
		case !errors.Is(err, join.ErrStale):
			return err
		case !again:
			p.target = nil
			continue
		}
		p.manager.debug("toolbox %s cannot be joined: %v", p.Record.Name, err)
		if err := p.start(ctx, Name(p.Record.Name)); err != nil { // perhaps it was stopped just now
			return err
		}
	}
	return p.byPodman(nil)
}

// compose returns the session that join runs. It refuses a session that cannot work,
// while tbx can still report that.
func (p *Session) compose() (*join.Session, error) {
	dir, err := p.workDir()
	if err != nil {
		return nil, err
	}
	r, o := p.Record, p.opts
	env := p.env(dir)
	args, err := p.command()
	if err != nil {
		return nil, err
	}
	switch err := p.target.LookPath(args[0], env, dir); {
	case errors.Is(err, fs.ErrPermission):
		return nil, &ExitError{ExitDenied, fail.New(nil, "%s in toolbox %s is not a program that may be run", args[0], r.Name).
			Hint("look at it with: tbx run %s -- ls -ld %s", r.Name, args[0])}
	case err != nil:
		e := fail.New(fail.NotFound, "command %s is not in toolbox %s", args[0], r.Name)
		if p.namesToolbox(args[0]) {
			e.Hint("to run something in toolbox %s: tbx run %s -- COMMAND", args[0], args[0])
		}
		return nil, &ExitError{ExitNotFound, e}
	}
	if err := checkDescriptors(o.PreserveFDs); err != nil {
		return nil, err
	}
	s := &join.Session{Args: args, Env: env, Dir: dir, Root: o.Root, Box: r.Box, DropGroups: slices.Contains(r.Without, integration.Groups)}
	if !o.Root {
		s.Groups = p.groups(s.DropGroups)
	}
	p.seeToLocales(env)
	return s, nil
}

// namesToolbox reports whether a word is a toolbox's name, also one of Toolbx, which has
// no specification.
func (p *Session) namesToolbox(word string) bool {
	name, err := ParseName(word)
	if err != nil || p.manager.hasSpec(name) {
		return err == nil
	}
	if !p.Record.Names.Has(word) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = p.manager.Find(ctx, name)
	return err == nil
}

// groups returns the supplementary groups of the session, if the toolbox has some of its
// own for the user.
func (p *Session) groups(drop bool) []int {
	g := p.target.SessionGroups(p.host.User, drop || p.Record.Isolated)
	if len(g.Lost) > 0 {
		p.once("groups", fmt.Sprintf("in toolbox %s you are in %s; your host groups %s have no number there and are not "+
			"in effect",
			p.Record.Name, strings.Join(g.Given, ", "), strings.Join(hostGroups(g.Lost), ", ")),
			fmt.Sprintf("to have those instead, leave the group inside: sudo gpasswd --delete %s %s", p.host.User, g.Given[0]))
	}
	return g.IDs
}

// command returns the command, or the login shell.
func (p *Session) command() ([]string, error) {
	if len(p.opts.Args) > 0 {
		return p.helped(p.opts.Args), nil
	}
	shell, want := p.shell(), p.host.Shell
	if shell == p.chosenShell() {
		want = shell
	}
	if shell == "" {
		return nil, &ExitError{ExitNotFound, fail.New(fail.NotFound, "toolbox %s has no shell", p.Record.Name).
			Hint("run one of its programs with: tbx run %s -- COMMAND", p.Record.Name)}
	}
	if p.target != nil && want != "" && filepath.Base(shell) != filepath.Base(want) {
		p.remark(fmt.Sprintf("shell %s is not in toolbox %s, using %s", want, p.Record.Name, shell))
	}
	return []string{shell, "-l"}, nil
}

// chosenShell returns the login shell that was set inside (chsh, usermod), or "".
func (p *Session) chosenShell() string {
	if p.target == nil || p.Record.Wrote == "" {
		return ""
	}
	own := p.target.PasswdShell(p.host.User)
	if own == "" || own == p.Record.Wrote || p.target.LookPath(own, nil, "/") != nil {
		return ""
	}
	return own
}

// shell returns the login shell: the one that was set inside, else the caller's if the
// toolbox has it by now, else the one that the initialiser found.
func (p *Session) shell() string {
	if own := p.chosenShell(); own != "" {
		return own
	}
	want := p.host.Shell
	if p.target == nil || want == "" {
		return p.Record.Shell
	}
	for _, shell := range shellPlaces(want) {
		if p.target.LookPath(shell, nil, "/") == nil {
			return shell
		}
	}
	return p.Record.Shell
}

// checkDescriptors checks that the descriptors to preserve are open. They reach the
// command by themselves, because nothing closes them. A descriptor that is closed on exec
// belongs to tbx, which took a free number.
func checkDescriptors(n int) error {
	for fd := 3; fd < 3+n; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			return &ExitError{ExitFailed, fail.New(fail.Usage, "descriptor %d cannot be preserved: it is not open", fd)}
		}
	}
	return nil
}

// env is the environment of the session that begins in dir.
func (p *Session) env(dir string) []string {
	o := EnvOptions{
		Set: p.opts.Set, Block: p.opts.Block, Root: p.opts.Root, Dir: dir, Shell: p.shell(),
		Prompt: p.manager.Prompt, Bridge: p.Bridge, Terminal: p.terminal,
	}
	if p.target != nil {
		o.Inside = p.target
	}
	return SessionEnv(p.Record, p.host.Env, o)
}

// DefaultName returns the toolbox for a user who names none: the only one, or the one
// called preferred, if it has a specification. ok is false if podman must be asked.
func (m *Manager) DefaultName(preferred string) (name Name, ok bool) {
	names := specNames(m.Host.Dirs.Config)
	if len(names) == 1 {
		return names[0], true
	}
	for _, n := range names {
		if strings.EqualFold(string(n), preferred) {
			return n, true
		}
	}
	return "", false
}
