package hostbridge

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/escape"
)

// ask puts the request to the owner while the client waits.
func (r *request) ask(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.watchClient(ctx, cancel)
	rule := r.decision.Rule
	yes, err := r.a.asking.ask(ctx, r.box.ID, r.question(), func() {
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

// question describes the command, its directory, and the arguments and variables from
// the toolbox. A remembered answer holds for exactly these.
func (r *request) question() Question {
	rule, argv := r.decision.Rule, r.start.Argv
	q := Question{Box: r.box.Name, Rule: rule.Where, Remember: rule.Remember, env: r.session.Env}
	switch {
	case r.file != nil:
		argv = append(slices.Clone(argv[:len(argv)-1]), r.file.path)
		if asked := r.start.Argv[len(argv)-1]; asked != r.file.path {
			q.Note = "which the toolbox calls " + Shown([]string{asked})
		}
	case r.verb.build == nil:
		if r.program.Real != argv[0] && strings.Contains(argv[0], "/") {
			q.Note = "which is the program " + Shown([]string{r.program.Real})
		}
		q.Dir = escape.Text(r.dir)
		if home := escape.Text(r.a.Home); rule.Cwd == "home" && r.dir == "" {
			q.Dir = home
		} else if rule.Cwd == "home" {
			q.Dir += ", or in " + home + " where the toolbox has another directory of that name"
		}
	}
	q.What = Shown(argv)
	for _, kv := range r.env.extra {
		q.Vars = append(q.Vars, escape.Quote(kv))
	}
	q.key = strings.Join(slices.Concat([]string{r.box.ID, rule.Where, string(rule.Remember), r.program.Real, r.dir,
		strconv.Itoa(int(r.start.Flags & wire.FlagDetach)), strconv.Itoa(len(argv))}, argv, r.env.extra), "\x00")
	return q
}

// rememberAlways writes the answer as a rule for these arguments, this directory and
// these values of variables.
func (r *request) rememberAlways() error {
	args := slices.Clone(r.start.Argv[1:])
	if r.file != nil {
		args = []string{r.file.path}
	}
	if slices.Contains(args, "*") || slices.Contains(args, "**") {
		return errors.New("an argument would be a pattern in a rule")
	}
	asked := r.decision.Rule
	rule := Rule{Box: r.box.Name, Args: append([]string{}, args...), Action: Allow, TTY: asked.TTY, Detach: asked.Detach, Cwd: asked.Cwd,
		Notify: asked.Notify, Dir: r.dir}
	for _, kv := range asked.Env {
		name, _, _ := strings.Cut(kv, "=")
		if value := envset.First(r.env.extra, name); !slices.Contains(rule.Env, name+"="+value) {
			rule.Env = append(rule.Env, name+"="+value)
		}
	}
	if r.rec.Verb != "" {
		rule.Verb = r.rec.Verb
	} else {
		rule.Exec = r.program.Found
	}
	_, err := r.a.Policy.Prepend(rule)
	return err
}

// watchClient cancels the question when the client disconnects. The client's descriptors
// wait unread in the socket, so it must poll and cannot read.
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
