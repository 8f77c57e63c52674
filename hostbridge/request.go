package hostbridge

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// request is one request on its way through the agent.
type request struct {
	a     *agent
	s     *served
	conn  *net.UnixConn
	box   Box
	peer  peer
	start *wire.Start
	rec   AuditEntry // the request's entry in the audit log

	decision Decision
	session  session.Session
	program  Program
	argv     []string
	env      environment
	verb     verb
	dir      string // of the host, without links, where the directory had to be known beforehand
	file     *place // that a verb opens
	noFile   error  // why there is none
}

// refusal is an answer of the agent itself: DENIED if denied is set, else ERROR.
type refusal struct {
	denied bool
	code   uint32
	reason string
	hint   string
}

func (r *refusal) Error() string { return r.reason }

func deny(reason, hint string) *refusal { return &refusal{denied: true, reason: reason, hint: hint} }

// handle serves one connection. It returns when the request is refused, or when a runner
// has taken it over and its command has ended.
func (a *agent) handle(ctx context.Context, s *served, conn *net.UnixConn) {
	defer conn.Close()
	r := &request{a: a, s: s, conn: conn, box: s.current(), rec: AuditEntry{Event: "request"}}
	err := r.receive()
	s.heard(conn)
	if r.peer.pidfd > 0 {
		defer r.peer.close()
	}
	if err == nil {
		err = r.decide(ctx)
	}
	defer func() { r.file.close() }()
	if err != nil {
		r.refuse(err)
		return
	}
	if err := r.run(); err != nil {
		r.refuse(err)
	}
}

// decide waits for its turn and decides the request. Looking up names on the host may
// take as long as a file system likes, and a process has a limited number of threads.
func (r *request) decide(ctx context.Context) error {
	select {
	case r.s.deciding <- struct{}{}:
		defer func() { <-r.s.deciding }()
	case <-time.After(startDeadline):
		return &refusal{code: 125, reason: "too many requests of this toolbox are being decided", hint: "wait a moment"}
	}
	return r.admit(ctx)
}

// admit decides the request and prepares the command.
func (r *request) admit(ctx context.Context) error {
	st := r.start
	r.rec.Argv, r.rec.Cwd, r.rec.TTY = st.Argv, st.Cwd, st.Flags&wire.TTYMask != 0
	if !sameToken(st.Token, r.s.token) {
		return deny("the request does not carry this toolbox's token", "the toolbox may have been started anew: enter it again")
	}
	if !r.s.rate.take(time.Now()) {
		return &refusal{code: 125, reason: "too many requests from this toolbox in a short time", hint: "wait a moment"}
	}
	if err := r.findName(ctx); err != nil {
		return err
	}
	policy, err := r.a.policy.get(r.a.Policy)
	if err != nil {
		return deny(err.Error(), firstHint(err))
	}
	q := Query{Box: r.box.Name, Isolated: r.box.Isolated, Args: st.Argv[1:], Env: st.Env}
	var resolveErr error
	if st.Flags&wire.FlagVerb != 0 {
		q.Verb = st.Argv[0]
		r.rec.Verb = q.Verb
		if r.verb = verbs[q.Verb]; r.verb.build == nil {
			return &refusal{code: 127, reason: escape.Quote(q.Verb) + ": no such verb of the bridge"}
		}
		if r.verb.file && len(q.Args) == 1 { // rules are for the file, whatever it is called
			if r.noFile = r.findFile(); r.noFile == nil {
				q.Args = []string{r.file.path}
			}
		}
	} else if policy.mayRun(q) { // else nothing on the host is looked up for it
		r.program, resolveErr = Resolve(st.Argv[0], r.a.Path)
		q.Program = r.program
		r.rec.Program = r.program.Real
		if policy.usesDir() {
			r.findDir() // if it cannot be found, no rule's directory matches
			q.Dir = r.dir
		}
	} else {
		q.Program = Program{Asked: st.Argv[0]}
	}
	r.decision = policy.Decide(q)
	r.rec.Decision, r.rec.Rule = r.decision.Action, r.decision.Where()
	if r.decision.Action == Deny {
		return deny("the policy for host commands denies this to toolbox "+r.box.Name, r.allowHint())
	}
	// Only now, so that a toolbox that may not run it cannot learn whether it exists on
	// the host.
	if resolveErr != nil {
		return failure(resolveErr)
	}
	r.session = r.a.session(st.Session)
	if err := r.prepare(); err != nil {
		return err
	}
	if r.decision.Action == Ask {
		return r.ask(ctx)
	}
	return nil
}

// findName looks up the present name of the toolbox: rules use the name, which may have
// changed, and another toolbox may have the old one. A record may be missing for a moment
// while it is replaced.
func (r *request) findName(ctx context.Context) error {
	var err error
	for range 10 {
		var box Box
		if box, err = r.a.Lookup(ctx, r.box.ID); err == nil && box.Pid == r.s.box.Pid {
			r.s.rename(box.Name)
			r.box.Name = box.Name
			return nil
		}
		if !r.box.Isolated { // it could write the records itself
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return deny("the present name of this toolbox is not known", "it may have been renamed: enter it again by its new name")
}

// prepare makes the command and its environment.
func (r *request) prepare() error {
	st, rule := r.start, r.decision.Rule
	var err error
	if r.env, err = environ(r.session.Env, st.Env, rule.Env); err != nil {
		return failure(err)
	}
	r.rec.Dropped = r.env.dropped
	r.argv = st.Argv
	if r.verb.build != nil {
		r.argv, err = r.verb.build(verbCall{args: st.Argv[1:], box: r.box, tbx: r.a.Tbx, path: r.a.Path, env: r.env.env})
		if err != nil {
			return failure(err)
		}
		if r.program, err = Resolve(r.argv[0], r.a.Path); err != nil {
			return failure(err)
		}
		r.rec.Program = r.program.Real
		if limit := r.s.limits[r.rec.Verb]; limit != nil && !limit.take(time.Now()) {
			return &refusal{code: 125, reason: r.rec.Verb + ": too many of this toolbox in a short time", hint: "wait a moment"}
		}
	}
	if hasFile := st.Flags&wire.FlagFile != 0; hasFile != r.verb.file {
		return &refusal{code: 125, reason: "this request must, or must not, come with a file"}
	}
	if st.Flags&wire.FlagDetach != 0 && !r.detached() {
		return deny("the rule that allows this command does not allow it to outlive its client", "call it without --detach")
	}
	if st.Flags&wire.FlagHostCwd != 0 && r.box.Isolated {
		return deny("an isolated toolbox may not name a directory of the host", "call it from a shared directory")
	}
	if r.noFile != nil {
		return r.noFile
	}
	if r.file != nil {
		if err := r.file.mayOpen(); err != nil {
			return failure(err)
		}
	}
	if r.decision.Action == Ask && r.verb.build == nil && r.dir == "" {
		return r.findDir()
	}
	return nil
}

// findFile looks up the file to be opened: rules and the owner decide about the file,
// whatever name the request gives it.
func (r *request) findFile() (err error) {
	name := r.start.Argv[len(r.start.Argv)-1]
	if r.box.Isolated {
		r.file, err = openShared(r.box, name)
	} else {
		r.file, err = openPlace(hostPath(r.box, name), 0)
	}
	if err != nil {
		return &refusal{code: 125, reason: escape.Quote(name) + ": this file is not shared with the host",
			hint: "copy it to a directory that is shared"}
	}
	r.rec.File = r.file.path
	return nil
}

// findDir looks up the directory of the command.
func (r *request) findDir() error {
	name := r.cwd()
	p, err := openPlace(name, unix.O_DIRECTORY)
	if err == nil {
		r.dir, r.rec.Dir = p.path, p.path
		p.close()
		return nil
	}
	if rule := r.decision.Rule; rule != nil && rule.Cwd == "home" {
		return nil
	}
	return &refusal{code: 125, reason: escape.Quote(name) + ": this directory is not shared with the host",
		hint: "change to a shared directory, or name one of the host with --cwd"}
}

// cwd is the working directory under its name on the host.
func (r *request) cwd() string {
	if r.start.Flags&wire.FlagHostCwd != 0 {
		return r.start.Cwd
	}
	return hostPath(r.box, r.start.Cwd)
}

func (r *request) detached() bool { return r.verb.launch || r.decision.Rule.Detach }

// allowHint is what the owner can do to allow the request.
func (r *request) allowHint() string {
	what := "-- " + Shown(r.start.Argv[:1])
	if r.rec.Verb != "" {
		what = "--verb " + r.rec.Verb
	}
	return "allow it on the host with: tbx policy allow " + r.box.Name + " " + what
}

func (r *request) send(f wire.Frame) {
	r.conn.SetWriteDeadline(time.Now().Add(time.Second))
	r.conn.Write(f.Append(nil))
}

// refuse sends the refusal to the client and writes it to the log.
func (r *request) refuse(err error) {
	var no *refusal
	if !errors.As(err, &no) {
		if r.rec.BoxID == "" || errors.Is(err, errSilent) {
			return
		}
		no = &refusal{code: 125, reason: err.Error()}
	}
	r.rec.Reason = no.reason
	if no.denied && r.rec.Answer == "" {
		r.rec.Decision = Deny
	}
	answered := r.rec.Answer == "yes" || r.rec.Answer == "no" || r.rec.Answer == "none" // a few in a minute
	if answered || r.s.refusals.written(time.Now(), no.reason) {
		r.log()
	}
	if no.denied {
		r.send(wire.Denied{Reason: no.reason, Rule: r.rec.Rule, Hint: no.hint}.Frame())
	} else {
		r.send(wire.Failure{Code: no.code, Text: no.reason, Hint: no.hint}.Frame())
	}
}

// log writes the request's entry and returns its number.
func (r *request) log() (uint64, error) {
	r.rec.BoxID, r.rec.Box = r.box.ID, r.box.Name
	return r.a.Audit.Write(r.rec)
}

// failure turns an error of a domain function into an answer.
func failure(err error) *refusal {
	out := &refusal{code: 125, reason: err.Error(), hint: firstHint(err)}
	switch {
	case errors.Is(err, fail.NotFound):
		out.code = 127
	case errors.Is(err, fail.Unable):
		out.code = 126
	}
	return out
}

func firstHint(err error) string {
	if hints := fail.Hints(err); len(hints) > 0 {
		return hints[0]
	}
	return ""
}
