package hostbridge

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/escape"
)

// Question is a question to the owner. Its texts are safe to show.
type Question struct {
	Seq      uint64   `json:"seq"`
	Box      string   `json:"box"`
	What     string   `json:"what"`           // the verb or the whole command line, with the file's name without links
	Note     string   `json:"note,omitempty"` // about What: the other name in the request
	Dir      string   `json:"dir,omitempty"`  // directory of the host that the command would run in
	Vars     []string `json:"vars,omitempty"` // NAME=value, quoted, that the toolbox gives it because the rule says so
	Rule     string   `json:"rule"`           // file:line that says ask
	Remember Remember `json:"remember,omitempty"`

	env []string // of the host's session
	key string   // identifies the content of a remembered answer, byte for byte, after the toolbox's id and a NUL
}

// TooLate reports whether nobody waits any more for the answer to a question asked at
// that time.
func (q Question) TooLate(put time.Time) bool { return time.Since(put) >= askTimeout }

// Text returns, as lines, everything in the question that the toolbox can influence.
func (q Question) Text() string {
	lines := []string{q.What}
	if q.Note != "" {
		lines = append(lines, q.Note)
	}
	if q.Dir != "" {
		lines = append(lines, "in "+q.Dir)
	}
	if len(q.Vars) > 0 {
		lines = append(lines, "with "+strings.Join(q.Vars, " "))
	}
	return strings.Join(lines, "\n")
}

// HowLong returns how long a yes is remembered.
func (q Question) HowLong() string {
	switch q.Remember {
	case RememberSession:
		return "until the toolbox stops"
	case RememberAlways:
		return "from now on"
	}
	return "once"
}

// Asker asks the owner on the host, never in a toolbox's terminal. Ask returns ErrNobody
// if nobody can be asked this way; any other error, and the end of ctx, means no.
type Asker interface {
	Ask(ctx context.Context, q Question) (yes bool, err error)
}

// ErrNobody means that there was nobody to ask.
var ErrNobody = errors.New("nobody can be asked on the host")

// Limits of asking.
const (
	askTimeout    = 60 * time.Second // then the answer is no
	asksPerBox    = 3                // in askWindow
	askWindow     = time.Minute
	askQueue      = 5 * time.Minute // for the questions of other toolboxes to be answered
	maxQuestion   = 1024            // bytes of Text: what does not fit cannot be judged
	maxRemembered = 256             // answers of one toolbox
)

// asking limits the number of open questions and remembers answers.
type asking struct {
	askers []Asker
	now    func() time.Time // for intervals: its monotonic part counts

	mu         sync.Mutex
	open       map[string]bool        // boxes with an open question
	recent     map[string][]time.Time // of each box, at most asksPerBox
	answered   map[string]bool        // yes, for this session, by Question.key
	remembered map[string]int         // how many of each box
	seq        uint64
}

func newAsking(askers []Asker, now func() time.Time) *asking {
	return &asking{askers: askers, now: now, open: map[string]bool{}, recent: map[string][]time.Time{},
		answered: map[string]bool{}, remembered: map[string]int{}}
}

var errTooMany = errors.New("too many questions from this toolbox; the owner is not asked again for now")

var errQueue = errors.New("the owner has questions of other toolboxes to answer first")

// begin reserves a question for a toolbox, or returns errTooMany.
func (a *asking) begin(box string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	kept := a.recent[box][:0]
	for _, t := range a.recent[box] {
		if now.Sub(t) < askWindow {
			kept = append(kept, t)
		}
	}
	a.recent[box] = kept
	if a.open[box] || len(kept) >= asksPerBox {
		return errTooMany
	}
	a.recent[box] = append(kept, now)
	a.open[box] = true
	return nil
}

func (a *asking) end(box string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, box)
}

// ask answers from memory, or asks the owner. It calls pending before it asks.
func (a *asking) ask(ctx context.Context, boxID string, q Question, pending func()) (bool, error) {
	a.mu.Lock()
	known := q.Remember == RememberSession && a.answered[q.key]
	a.seq++
	q.Seq = a.seq
	a.mu.Unlock()
	if known {
		return true, nil
	}
	if len(q.Text()) > maxQuestion {
		return false, errors.New("the command line, its directory and variables are too long to be shown to the owner")
	}
	if err := a.begin(boxID); err != nil {
		return false, err
	}
	defer a.end(boxID)
	pending()
	for _, asker := range a.askers {
		yes, err := putTo(ctx, asker, q, pending)
		if errors.Is(err, ErrNobody) {
			continue
		}
		if err == nil && yes && q.Remember == RememberSession {
			a.mu.Lock()
			if a.remembered[boxID] < maxRemembered {
				a.remembered[boxID]++
				a.answered[q.key] = true
			}
			a.mu.Unlock()
		}
		return yes && err == nil && ctx.Err() == nil, err
	}
	a.unasked(boxID)
	return false, ErrNobody
}

// unasked removes the latest question of a toolbox, because nobody saw it.
func (a *asking) unasked(box string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.recent[box]); n > 0 {
		a.recent[box] = a.recent[box][:n-1]
	}
}

// turns is an Asker that puts one question at a time, each toolbox's in its turn.
type turns interface {
	// turn waits until the question may be put. done must be called then.
	turn(ctx context.Context) (done func(), err error)
}

// putTo asks one asker. The time limit begins with the question on the screen, so that
// the questions of one toolbox do not use up the time of another one.
func putTo(ctx context.Context, asker Asker, q Question, pending func()) (bool, error) {
	if one, ok := asker.(turns); ok {
		tick := time.NewTicker(askTimeout / 4) // the client waits no longer than it was told
		defer tick.Stop()
		queue, leave := context.WithTimeoutCause(ctx, askQueue, errQueue)
		defer leave()
		type turn struct {
			done func()
			err  error
		}
		got := make(chan turn, 1)
		go func() {
			done, err := one.turn(queue)
			got <- turn{done, err}
		}()
		for waiting := true; waiting; {
			select {
			case <-tick.C:
				pending()
			case t := <-got:
				if t.err != nil {
					return false, t.err
				}
				defer t.done()
				waiting = false
			}
		}
		pending()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return asker.Ask(ctx, q)
}

// forget drops the answers for a toolbox that has stopped.
func (a *asking) forget(boxID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.answered {
		if strings.HasPrefix(key, boxID+"\x00") {
			delete(a.answered, key)
		}
	}
	delete(a.recent, boxID)
	delete(a.remembered, boxID)
}

// Desktop asks by a desktop notification with buttons, through notify-send
// (libnotify 0.8 or newer), which takes an answer from the notification
// server's own bus name only.
type Desktop struct {
	Path string // SystemPath
}

// Ask returns ErrNobody where there is no session bus or no notify-send.
func (d Desktop) Ask(ctx context.Context, q Question) (bool, error) {
	env := q.env
	p, err := Resolve("notify-send", d.Path)
	if err != nil || envset.First(env, "DBUS_SESSION_BUS_ADDRESS") == "" {
		return false, ErrNobody
	}
	body := noticeBody(q.Text())
	cmd := exec.CommandContext(ctx, p.Real, "--app-name=tbx", "--urgency=critical", "--wait",
		"--action=no=Deny", "--action=yes=Allow "+q.HowLong(), "--", "Toolbox "+q.Box+" asks to run this on the host", body)
	cmd.Env, cmd.WaitDelay = env, time.Second // what it started may keep its output open
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, ErrNobody // no notification server, or an old notify-send
	}
	return strings.TrimSpace(string(out)) == "yes", nil
}

// noticeBody escapes a text for notify-send. The body of a notification is markup, and
// notify-send itself interprets escapes before: a \n in the text would become a new
// line, and \033 an escape character.
func noticeBody(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`).Replace(s)
}

// Shown returns a command line for people. It quotes each argument that is not plain, so
// that the borders between arguments are visible.
func Shown(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = escape.Text(a)
		if out[i] != a || a == "" || strings.ContainsAny(a, " \"'\\$`;&|<>()*?#~") {
			out[i] = escape.Quote(a)
		}
	}
	return strings.Join(out, " ")
}
