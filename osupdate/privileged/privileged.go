// Package privileged has one typed verb carried out by a tbx that runs as root, and
// is that tbx's side too. What crosses the border is an [osupdate.Order]: a verb
// and plain words, validated on both sides. Never an argv, a path or an
// environment: root's side finds its tools at fixed places, detects the host
// itself and makes its own plan.
package privileged

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
	"github.com/tbx-project/tbx/osupdate"
)

// Prefix starts the first argument of root's side: "__host-upgrade". polkit
// chooses the action by it (org.freedesktop.policykit.exec.argv1).
const Prefix = "__host-"

// Method is a way to become root.
type Method string

// The ways, in the order in which Auto tries them.
const (
	Auto   Method = "auto"
	Pkexec Method = "pkexec"
	Run0   Method = "run0"
	Sudo   Method = "sudo"
	Never  Method = "none"
)

// Caller is the ordinary user's side.
type Caller struct {
	Self   string   // absolute path of tbx
	Method Method   //
	Dirs   []string // where pkexec, run0 and sudo are looked for: fixed places
	Stdin  io.Reader
	Stderr io.Writer // for their prompts
	// Fixed says why a program may not be started as root; nil: rootonly.Check, what
	// others than root can change may not.
	Fixed func(path string) error
}

var _ osupdate.Elevator = (*Caller)(nil)

// line is one line of root's answer.
type line struct {
	Progress *osupdate.Progress `json:"progress,omitempty"`
	Answer   *osupdate.Answer   `json:"answer,omitempty"`
	Error    *wireError         `json:"error,omitempty"`
}

type wireError struct {
	Kind    string              `json:"kind"`
	Message string              `json:"message"`
	Hints   []string            `json:"hints,omitempty"`
	Tool    *osupdate.ToolError `json:"tool,omitempty"`
}

// Argv is how root's side would be started.
func (c *Caller) Argv(o osupdate.Order) ([]string, error) {
	if err := o.Request.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	find := func(name string) string {
		for _, d := range c.Dirs {
			if fi, err := os.Stat(filepath.Join(d, name)); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
				return filepath.Join(d, name)
			}
		}
		return ""
	}
	methods := []Method{c.Method}
	if c.Method == Auto {
		methods = []Method{Pkexec, Run0, Sudo}
	}
	fixed := c.Fixed
	if fixed == nil {
		fixed = rootonly.Check
	}
	before := map[Method][]string{Pkexec: {}, Run0: {"--pipe", "--"}, Sudo: {"--"}}
	for _, m := range methods {
		if path := find(string(m)); path != "" && before[m] != nil {
			if err := fixed(path); err != nil {
				return nil, fail.Wrap(osupdate.ErrPermission, err, "%s is not started: not only root can change it", path)
			}
			if err := fixed(c.Self); err != nil {
				return nil, fail.Wrap(osupdate.ErrPermission, err, "%s needs root, and this tbx is not started as root: not only root can change it",
					o.Request.Verb).
					Hint("install tbx where only root can write, such as: sudo make install PREFIX=/usr/local").
					Hint("then the same command works, and so does: sudo tbx host %s", o.Request.Verb)
			}
			return slices.Concat([]string{path}, before[m], []string{c.Self, Prefix + osupdate.ActionOf(o.Request), string(data)}), nil
		}
	}
	return nil, fail.New(osupdate.ErrPermission, "%s needs root, and none of pkexec, run0 and sudo may be used", o.Request.Verb).
		Hint("run the same command as root")
}

// Run has an order carried out.
func (c *Caller) Run(ctx context.Context, o osupdate.Order, progress func(osupdate.Progress)) (*osupdate.Answer, error) {
	argv, err := c.Argv(o)
	if err != nil {
		return nil, err
	}
	answer, err := c.start(ctx, argv, o, progress)
	var refused *exec.ExitError
	if c.Method != Auto || filepath.Base(argv[0]) != string(Pkexec) || answer != nil || !errors.As(err, &refused) ||
		refused.ExitCode() != noAgent {
		return answer, err
	}
	// Nobody can be asked here, as over ssh without a terminal: sudo may not need to.
	sudo := *c
	sudo.Method = Sudo
	if argv, sudoErr := sudo.Argv(o); sudoErr == nil {
		if answer, sudoErr := c.start(ctx, slices.Insert(argv, 1, "-n"), o, progress); answer != nil ||
			osupdate.ProblemOf(sudoErr) != osupdate.ErrPermission {
			return answer, sudoErr
		}
	}
	return nil, err
}

// noAgent is pkexec's code where it could not ask for an authorisation, pkexec(1).
const noAgent = 127

// start runs root's side by argv and reads its answer.
func (c *Caller) start(ctx context.Context, argv []string, o osupdate.Order, progress func(osupdate.Progress)) (*osupdate.Answer, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = c.Stdin, io.MultiWriter(&said, c.Stderr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fail.Wrap(osupdate.ErrPermission, err, "become root with %s", argv[0])
	}
	answer, err := read(stdout, progress)
	waitErr := cmd.Wait()
	if answer == nil && err == nil {
		name := filepath.Base(argv[0])
		return nil, fail.Wrap(osupdate.ErrPermission, errors.Join(waitErr, errors.New(strings.TrimSpace(said.String()))),
			"%s was not allowed to run tbx as root", name).
			Hint("your password, or the administrator's policy for dev.tbx.host.%s, decides", osupdate.ActionOf(o.Request))
	}
	return answer, err
}

// read takes root's lines until the answer or the error.
func read(r io.Reader, progress func(osupdate.Progress)) (*osupdate.Answer, error) {
	dec := json.NewDecoder(io.LimitReader(r, 64<<20))
	for {
		var l line
		if err := dec.Decode(&l); err == io.EOF {
			return nil, nil
		} else if err != nil {
			return nil, fail.Wrap(osupdate.ErrBadOutput, err, "root's tbx gave an answer that cannot be read").Hint("are both the same version?")
		}
		switch {
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		case l.Error != nil:
			return nil, l.Error.back()
		case l.Answer != nil:
			return l.Answer, nil
		}
	}
}

func (w *wireError) back() error {
	e := &fail.Error{Kind: osupdate.ProblemNamed(w.Kind), Msg: w.Message, Hints: w.Hints}
	if w.Tool != nil {
		e.Cause = w.Tool
		e.Msg = strings.TrimSuffix(w.Message, ": "+w.Tool.Error())
	}
	return e
}

// Parse reads root's side of the command line: a verb after Prefix, and the
// order, whose verb must be the same.
func Parse(args []string) (osupdate.Order, error) {
	var o osupdate.Order
	if len(args) != 2 || !strings.HasPrefix(args[0], Prefix) {
		return o, fail.New(fail.Usage, "%sVERB takes one order", Prefix)
	}
	dec := json.NewDecoder(strings.NewReader(args[1]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return o, fail.Wrap(fail.Usage, err, "the order cannot be read")
	}
	if dec.More() {
		return o, fail.New(fail.Usage, "more than one order")
	}
	if Prefix+osupdate.ActionOf(o.Request) != args[0] {
		return o, fail.New(fail.Usage, "the order is for %q, the call for %q", osupdate.ActionOf(o.Request), strings.TrimPrefix(args[0], Prefix))
	}
	if file := o.Request.File(); file != "" { // root would read what its caller may not
		return o, fail.New(fail.Usage, "%s to a file is for root itself: %s", o.Request.Verb, file).Hint("run the same command with sudo")
	}
	return o, o.Request.Validate()
}

// Serve is root's side: it carries out the order on h and writes lines to w. The
// error is for the exit code; it was written too.
func Serve(ctx context.Context, o osupdate.Order, open func(progress func(osupdate.Progress)) (*osupdate.Host, error), w io.Writer) error {
	enc := json.NewEncoder(w)
	a, err := carryOut(ctx, o, open, func(p osupdate.Progress) { enc.Encode(line{Progress: &p}) })
	if err != nil {
		we := &wireError{Message: err.Error(), Hints: fail.Hints(err)}
		if p := osupdate.ProblemOf(err); p != nil {
			we.Kind = p.Name
		}
		errors.As(err, &we.Tool)
		return errors.Join(err, enc.Encode(line{Error: we}))
	}
	if err := enc.Encode(line{Answer: a}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

func carryOut(ctx context.Context, o osupdate.Order, open func(func(osupdate.Progress)) (*osupdate.Host, error),
	progress func(osupdate.Progress)) (*osupdate.Answer, error) {
	h, err := open(progress)
	if err != nil {
		return nil, err
	}
	var a osupdate.Answer
	switch o.Request.Verb {
	case osupdate.StatusVerb:
		a.Status, err = h.Status(ctx)
	case osupdate.CheckVerb:
		a.Check, err = h.Check(ctx)
	default:
		a.Result, err = h.Do(ctx, o.Request, o.DryRun)
	}
	return &a, err
}
