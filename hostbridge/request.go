package hostbridge

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
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
	rec   Record // what the audit log will say of it

	decision Decision
	session  session.Session
	program  Program
	argv     []string
	env      []string
	verb     verb
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

// handle serves one connection until it is handed to a keeper and its command
// has ended, or it is refused.
func (a *agent) handle(ctx context.Context, s *served, conn *net.UnixConn) {
	defer conn.Close()
	r := &request{a: a, s: s, conn: conn, box: s.current(), rec: Record{Event: "request"}}
	err := r.receive()
	s.heard(conn)
	if r.peer.pidfd > 0 {
		defer r.peer.close()
	}
	if err == nil {
		err = r.admit(ctx)
	}
	if err != nil {
		r.refuse(err)
		return
	}
	if err := r.run(); err != nil {
		r.refuse(err)
	}
}

// receive reads the request and nothing after it: the descriptors that follow
// are the keeper's to receive. It asks for no control messages, so that the
// kernel drops descriptors that come uninvited without opening them here.
func (r *request) receive() error {
	deadline := time.Now().Add(startDeadline) // monotonic
	r.conn.SetDeadline(deadline)
	if err := awaitReadable(r.conn); err != nil { // a silent connection shall cost no buffer
		return errSilent
	}
	buf := r.a.buffers.Get().(*[wire.HeaderSize + wire.MaxBody]byte)[:]
	defer r.a.buffers.Put((*[wire.HeaderSize + wire.MaxBody]byte)(buf))
	var asm wire.Assembler
	for r.start == nil {
		n, _, flags, _, err := r.conn.ReadMsgUnix(buf, nil)
		if err != nil || n == 0 {
			return errSilent
		}
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			return &refusal{code: 125, reason: "a packet is longer than allowed, or has descriptors where none belong"}
		}
		f, err := wire.Parse(buf[:n])
		if err != nil {
			return &refusal{code: 125, reason: err.Error(), hint: versionHint(err)}
		}
		if r.peer.pid == 0 { // before anything larger is read
			if err := r.identify(); err != nil {
				return err
			}
		}
		if f.Flags&wire.FlagMore != 0 && f.Type == wire.TypeStart {
			select { // requests of megabytes shall not be in memory all at once
			case r.s.long <- struct{}{}:
				defer func() { <-r.s.long }()
			case <-time.After(time.Until(deadline)):
				return &refusal{code: 125, reason: "too many long requests of this toolbox at once", hint: "wait a moment"}
			}
		}
		if r.start, err = asm.Add(f); err != nil {
			return &refusal{code: 125, reason: err.Error()}
		}
	}
	r.conn.SetDeadline(time.Time{})
	return nil
}

// awaitReadable returns when there is something to read.
func awaitReadable(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := eintr.Ready([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}})
		return n != 0 || err != nil
	})
}

// errSilent is a connection that went away, or said nothing in time.
var errSilent = errors.New("no request")

func versionHint(err error) string {
	if errors.Is(err, wire.ErrVersion) {
		return "restart the toolbox, so that it gets the tbx-box of the installed tbx"
	}
	return ""
}

func (r *request) identify() error {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return err
	}
	var idErr error
	if err := raw.Control(func(fd uintptr) { r.peer, idErr = identify(int(fd), r.box) }); err != nil {
		return err
	}
	r.rec.BoxID, r.rec.Box = r.box.ID, r.box.Name
	r.rec.PeerPid, r.rec.PeerUID, r.rec.NS = r.peer.pid, r.peer.uid, r.peer.ns
	if idErr != nil {
		return deny(idErr.Error(), "")
	}
	return nil
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
	r.session = r.a.session(st.Session)
	q := Query{Box: r.box.Name, Isolated: r.box.Isolated, Args: st.Argv[1:]}
	var resolveErr error
	if st.Flags&wire.FlagVerb != 0 {
		q.Verb = st.Argv[0]
		r.rec.Verb = q.Verb
		if r.verb = verbs[q.Verb]; r.verb.build == nil {
			return &refusal{code: 127, reason: escape.Quote(q.Verb) + ": no such verb of the bridge"}
		}
	} else {
		r.program, resolveErr = Resolve(st.Argv[0], r.a.Path)
		q.Program = r.program
		r.rec.Program = r.program.Real
	}
	policy, err := r.a.policy.get(r.a.Policy)
	if err != nil {
		return deny(err.Error(), firstHint(err))
	}
	r.decision = policy.Decide(q)
	r.rec.Decision, r.rec.Rule = r.decision.Action, r.decision.Where()
	if r.decision.Action == Deny {
		return deny("the policy for host commands denies this to toolbox "+r.box.Name, r.allowHint())
	}
	// Only now, so that nobody learns what is on the host who may not run it.
	if resolveErr != nil {
		return failure(resolveErr)
	}
	if err := r.prepare(); err != nil {
		return err
	}
	if r.decision.Action == Ask {
		return r.ask(ctx)
	}
	return nil
}

// prepare makes the command and its environment.
func (r *request) prepare() error {
	st, rule := r.start, r.decision.Rule
	var err error
	if r.env, r.rec.Dropped, err = environ(r.session.Env, st.Env, rule.Env); err != nil {
		return failure(err)
	}
	r.argv = st.Argv
	if r.verb.build != nil {
		r.argv, err = r.verb.build(verbCall{args: st.Argv[1:], box: r.box, tbx: r.a.Tbx, path: r.a.Path, env: r.env})
		if err != nil {
			return failure(err)
		}
		if r.program, err = Resolve(r.argv[0], r.a.Path); err != nil {
			return failure(err)
		}
		r.rec.Program = r.program.Real
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
	return nil
}

func (r *request) detached() bool { return r.verb.launch || r.decision.Rule.Detach }

// ask puts the request to the owner while the client waits.
func (r *request) ask(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.watchClient(ctx, cancel)
	rule := r.decision.Rule
	what := Shown(r.start.Argv)
	yes, err := r.a.asking.ask(ctx, r.box.ID, Question{Box: r.box.Name, What: what, Rule: rule.Where, Remember: rule.Remember, env: r.session.Env, argv: r.start.Argv}, func() {
		r.send(wire.Uint32(wire.TypePending, 0, uint32(askTimeout/time.Second)))
	})
	r.rec.Answer = answer(yes, err)
	switch {
	case errors.Is(err, ErrNobody):
		return deny("the owner has to be asked, and "+err.Error(), "run on the host: tbx agent --prompt, or "+r.allowHint())
	case errors.Is(err, context.DeadlineExceeded):
		return deny("the owner was asked, and gave no answer within "+askTimeout.String(), r.allowHint())
	case err != nil:
		return deny("the owner was not asked or gave no answer: "+err.Error(), r.allowHint())
	case !yes:
		return deny("the owner said no", "")
	}
	if rule.Remember == RememberAlways {
		if err := r.rememberAlways(); err != nil {
			r.a.logf("cannot remember the answer: %v", err)
		}
	}
	return nil
}

func answer(yes bool, err error) string {
	switch {
	case yes:
		return "yes"
	case errors.Is(err, ErrNobody):
		return "nobody"
	case errors.Is(err, errTooMany):
		return "too many"
	case err != nil:
		return "none"
	}
	return "no"
}

// rememberAlways writes what was agreed to as a rule.
func (r *request) rememberAlways() error {
	args := slices.Clone(r.start.Argv[1:])
	if slices.Contains(args, "*") || slices.Contains(args, "**") {
		return errors.New("an argument would be a pattern in a rule")
	}
	rule := Rule{Box: r.box.Name, Args: append([]string{}, args...), Action: Allow, TTY: r.decision.Rule.TTY, Detach: r.decision.Rule.Detach, Env: r.decision.Rule.Env, Cwd: r.decision.Rule.Cwd}
	if r.rec.Verb != "" {
		rule.Verb = r.rec.Verb
	} else {
		rule.Exec = r.program.Found
	}
	_, err := r.a.Policy.Prepend(rule)
	return err
}

// watchClient cancels when the client goes away while a question is open. Its
// descriptors wait unread in the socket, so only a poll can tell.
func (r *request) watchClient(ctx context.Context, cancel func()) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !r.peer.alive() {
				cancel()
			}
		}
	}
}

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

// refuse answers a client that gets nothing, and logs it.
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

// log writes the request's record and returns its number.
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
