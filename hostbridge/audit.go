package hostbridge

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// AuditEntry is one line of the audit log. A request gives one line when it is
// decided, and one more when its command has ended.
type AuditEntry struct {
	Time     time.Time `json:"time"`
	BootID   string    `json:"boot_id,omitempty"`
	Seq      uint64    `json:"seq"` // orders lines of one agent when the clock jumps; an end carries its request's in Of
	Of       uint64    `json:"of,omitempty"`
	Event    string    `json:"event"` // request, end, refused (only counts, in More), agent
	BoxID    string    `json:"box_id,omitempty"`
	Box      string    `json:"box,omitempty"`
	PeerPid  int       `json:"peer_pid,omitempty"`
	PeerUID  int       `json:"peer_uid,omitempty"`
	NS       string    `json:"ns,omitempty"` // own, foreign (a namespace nested in the toolbox's), unknown
	Verb     string    `json:"verb,omitempty"`
	Argv     []string  `json:"argv,omitempty"` // escaped, cut to maxLogged bytes
	Program  string    `json:"program,omitempty"`
	Cwd      string    `json:"cwd,omitempty"`  // as the toolbox names it
	Dir      string    `json:"dir,omitempty"`  // of the host, without links in its name, where it had to be known to decide
	File     string    `json:"file,omitempty"` // of the host, that a verb opens, without links in its name
	TTY      bool      `json:"tty,omitempty"`
	Dropped  []string  `json:"dropped_env,omitempty"` // names of variables that were not passed on
	Decision Action    `json:"decision,omitempty"`
	Rule     string    `json:"rule,omitempty"`   // file:line
	Answer   string    `json:"answer,omitempty"` // to a question: yes, no, nobody, too many
	Reason   string    `json:"reason,omitempty"`
	Exit     *int      `json:"exit,omitempty"`
	Signal   int       `json:"signal,omitempty"`
	Millis   *int64    `json:"ms,omitempty"`
	Lost     uint64    `json:"lost,omitempty"` // lines that could not be written before this one
	More     uint64    `json:"more,omitempty"` // refusals of this toolbox before this one that were counted and not written
}

// AuditLog appends to a file of JSON lines and to journald, if that runs, which a toolbox
// that shares the home cannot edit. Several goroutines may use it; several processes may
// write one file. No line is longer than maxLine, whatever a toolbox sends.
type AuditLog struct {
	Path    string           // $XDG_STATE_HOME/tbx/host-audit.jsonl
	Journal string           // socket, /run/systemd/journal/socket; empty: none
	NoArgs  bool             // leave out arguments, which may hold secrets
	Now     func() time.Time // the wall clock

	mu     sync.Mutex
	seq    uint64
	lost   uint64
	bootID string
	file   *os.File
	cut    bool // the file ends inside a line, of which a full disk took a part
}

// Limits of a line, in bytes of JSON.
const (
	maxLine    = 8 << 10
	maxLogged  = 3 << 10 // arguments
	maxPlace   = 640     // working directory, as it is named and as it is, file, program
	maxReason  = 512     // reason, and rule
	maxDropped = 512     // names of variables
	maxWord    = 128     // verb
)

// Write fills in time, sequence number, escapes and limits, and appends the entry. It
// returns the sequence number. An error means that the file does not have the line; the
// next line counts it as lost.
func (l *AuditLog) Write(r AuditEntry) (uint64, error) {
	r.Argv = loggedArgs(r.Argv, l.NoArgs)
	r.Verb, r.Cwd, r.Program = fit(r.Verb, maxWord), fit(r.Cwd, maxPlace), fit(r.Program, maxPlace)
	r.File, r.Dir = fit(r.File, maxPlace), fit(r.Dir, maxPlace)
	r.Reason, r.Rule = fit(r.Reason, maxReason), fit(r.Rule, maxReason)
	r.Dropped = fitList(r.Dropped, maxDropped)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bootID == "" {
		b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		l.bootID = strings.TrimSpace(string(b))
	}
	l.seq++
	r.Time, r.Seq, r.BootID, r.Lost = l.Now().UTC(), l.seq, l.bootID, l.lost
	line, err := encodeLine(r)
	if err != nil {
		return r.Seq, err
	}
	l.toJournal(line, r)
	if err := l.append(line); err != nil {
		l.lost++
		return r.Seq, err
	}
	l.lost = 0
	return r.Seq, nil
}

// encodeLine returns one line of JSON with its newline. It does not escape for HTML,
// which would turn one byte into six.
func encodeLine(r AuditEntry) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return b.Bytes(), err
}

// loggedArgs returns the arguments that fit into the log, and the number of the others.
func loggedArgs(argv []string, none bool) []string {
	if len(argv) == 0 {
		return nil
	}
	if none {
		return fitList(argv, 0)
	}
	return fitList(argv, maxLogged)
}

// fitList escapes texts. It keeps the first one and as many others as fit into limit
// bytes of JSON, and adds the number of the others.
func fitList(list []string, limit int) []string {
	var out []string
	for i, s := range list {
		if i == 0 {
			s = fit(s, max(limit, maxReason))
		} else if len(s) <= limit { // else it need not be looked at
			s = escape.Text(s)
		}
		limit -= jsonSize(s) + len(`"",`)
		if i > 0 && limit < 0 {
			return append(out, "… "+strconv.Itoa(len(list)-i)+" more")
		}
		out = append(out, s)
	}
	return out
}

// fit escapes a text, shortens it to limit bytes of JSON, and then adds its whole length.
func fit(s string, limit int) string {
	whole := len(s)
	s = escape.Text(s[:min(whole, limit)]) // no escape is shorter than what it stands for
	if whole <= limit && jsonSize(s) <= limit {
		return s
	}
	note := "… of " + strconv.Itoa(whole) + " bytes"
	size := len(note)
	for i, r := range s {
		if size += jsonSize(string(r)); size > limit {
			return s[:i] + note
		}
	}
	return s + note
}

// jsonSize is the length of an escaped text in a JSON string, in bytes.
func jsonSize(s string) int { return len(s) + strings.Count(s, `"`) + strings.Count(s, `\`) }

// toJournal speaks journald's native protocol: fields as lines of one datagram
// (systemd.io/JOURNAL_NATIVE_PROTOCOL). The line holds no newline, so the plain
// form does. A journal that is absent or slow is not waited for.
func (l *AuditLog) toJournal(line []byte, r AuditEntry) {
	if l.Journal == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: l.Journal, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	conn.Write([]byte("SYSLOG_IDENTIFIER=tbx-agent\nPRIORITY=6\nTBX_TOOLBOX=" + escape.Text(r.Box) +
		"\nTBX_EVENT=" + r.Event + "\nMESSAGE=" + string(line) + "\n"))
}
