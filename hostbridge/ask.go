package hostbridge

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// Question is what the owner is asked. Its texts are safe to show.
type Question struct {
	Seq      uint64   `json:"seq"`
	Box      string   `json:"box"`
	What     string   `json:"what"` // the verb or the whole command line
	Rule     string   `json:"rule"` // file:line that says ask
	Remember Remember `json:"remember,omitempty"`

	env  []string // of the host's session
	argv []string // what is asked for, byte for byte
}

// TooLate says whether an answer now, to a question that was put at that time, is
// one that nobody waits for any more.
func (q Question) TooLate(put time.Time) bool { return time.Since(put) >= askTimeout }

// HowLong says for how long a yes holds.
func (q Question) HowLong() string {
	switch q.Remember {
	case RememberSession:
		return "until the toolbox stops"
	case RememberAlways:
		return "from now on"
	}
	return "once"
}

// Asker puts a question to the owner on the host, never in a toolbox's
// terminal. Ask returns ErrNobody if nobody can be asked this way; any other
// error, and the end of ctx, means no.
type Asker interface {
	Ask(ctx context.Context, q Question) (yes bool, err error)
}

// ErrNobody says that there was nobody to ask.
var ErrNobody = errors.New("nobody can be asked on the host")

// Limits of asking.
const (
	askTimeout   = 60 * time.Second // then the answer is no
	asksPerBox   = 3                // in askWindow
	askWindow    = time.Minute
	maxQuestion  = 1024 // bytes of What: what does not fit cannot be judged
	maxRemembred = 1024 // answers of one session
)

// asking puts questions through, few at a time, and remembers answers.
type asking struct {
	askers []Asker
	now    func() time.Time // for intervals: its monotonic part counts

	mu       sync.Mutex
	open     map[string]bool        // boxes with an open question
	recent   map[string][]time.Time // of each box, at most asksPerBox
	answered map[string]bool        // yes, for this session
	seq      uint64
}

func newAsking(askers []Asker, now func() time.Time) *asking {
	return &asking{askers: askers, now: now, open: map[string]bool{}, recent: map[string][]time.Time{}, answered: map[string]bool{}}
}

var errTooMany = errors.New("too many questions from this toolbox; the owner is not asked again for now")

// begin takes the right to ask for a box, or returns errTooMany.
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

// ask answers from memory or asks. pending is called before anybody is.
func (a *asking) ask(ctx context.Context, boxID string, q Question, pending func()) (bool, error) {
	// Not q.What: an answer is remembered for these arguments, not for what looks so.
	key := strings.Join(append([]string{boxID, q.Rule}, q.argv...), "\x00")
	a.mu.Lock()
	known := a.answered[key]
	a.seq++
	q.Seq = a.seq
	a.mu.Unlock()
	if known {
		return true, nil
	}
	if len(q.What) > maxQuestion {
		return false, errors.New("the command line is too long to be shown to the owner")
	}
	if err := a.begin(boxID); err != nil {
		return false, err
	}
	defer a.end(boxID)
	pending()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, asker := range a.askers {
		yes, err := asker.Ask(ctx, q)
		if errors.Is(err, ErrNobody) {
			continue
		}
		if err == nil && yes && q.Remember == RememberSession {
			a.mu.Lock()
			if len(a.answered) < maxRemembred {
				a.answered[key] = true
			}
			a.mu.Unlock()
		}
		return yes && err == nil && ctx.Err() == nil, err
	}
	return false, ErrNobody
}

// forget drops what was answered for a toolbox that has stopped.
func (a *asking) forget(boxID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.answered {
		if strings.HasPrefix(key, boxID+"\x00") {
			delete(a.answered, key)
		}
	}
	delete(a.recent, boxID)
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
	if err != nil || lookupEnv(env, "DBUS_SESSION_BUS_ADDRESS") == "" {
		return false, ErrNobody
	}
	body := noticeBody(q.What)
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

// noticeBody makes a text one that notify-send shows as it is. The body of a
// notification is markup, and notify-send takes escapes for characters before:
// what was written as \n to be seen would become a new line, \033 an escape.
func noticeBody(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`).Replace(s)
}

// Shown writes a command line for people: each argument that is not plain is
// quoted, so that its borders can be seen.
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
