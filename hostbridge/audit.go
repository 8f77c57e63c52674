package hostbridge

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/escape"
)

// Record is one line of the audit log. A request gives one line when it is
// decided, and one more when its command has ended.
type Record struct {
	Time     time.Time `json:"time"`
	BootID   string    `json:"boot_id,omitempty"`
	Seq      uint64    `json:"seq"` // orders lines of one agent when the clock jumps; an end carries its request's in Of
	Of       uint64    `json:"of,omitempty"`
	Event    string    `json:"event"` // request, end, agent
	BoxID    string    `json:"box_id,omitempty"`
	Box      string    `json:"box,omitempty"`
	PeerPid  int       `json:"peer_pid,omitempty"`
	PeerUID  int       `json:"peer_uid,omitempty"`
	NS       string    `json:"ns,omitempty"` // own, foreign (a namespace nested in the toolbox's), unknown
	Verb     string    `json:"verb,omitempty"`
	Argv     []string  `json:"argv,omitempty"` // escaped, cut to maxLogged bytes
	Program  string    `json:"program,omitempty"`
	Cwd      string    `json:"cwd,omitempty"`
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
}

// Limits of the log.
const (
	maxLogged   = 4 << 10  // bytes of arguments in one line
	maxLogFile  = 10 << 20 // bytes of one file
	maxLogFiles = 5        // files that are kept, the current one included
)

// AuditLog appends to a file of JSON lines and, where it runs, to journald,
// which a toolbox that shares the home cannot edit. It may be used by several
// goroutines; several processes may write one file.
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

// Write completes r (time, sequence, escaping) and appends it. It returns the
// line's sequence number, and an error if the file did not take the line, which
// is then counted in the next one that it takes.
func (l *AuditLog) Write(r Record) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bootID == "" {
		b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
		l.bootID = strings.TrimSpace(string(b))
	}
	l.seq++
	r.Time, r.Seq, r.BootID, r.Lost = l.Now().UTC(), l.seq, l.bootID, l.lost
	r.Argv = loggedArgs(r.Argv, l.NoArgs)
	r.Cwd, r.Program, r.Reason = escape.Text(r.Cwd), escape.Text(r.Program), escape.Text(r.Reason)
	for i := range r.Dropped {
		r.Dropped[i] = escape.Text(r.Dropped[i])
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r.Seq, err
	}
	l.toJournal(line, r)
	if err := l.append(append(line, '\n')); err != nil {
		l.lost++
		return r.Seq, err
	}
	l.lost = 0
	return r.Seq, nil
}

func loggedArgs(argv []string, none bool) []string {
	var out []string
	left := maxLogged
	for i, a := range argv {
		if len(a) <= left {
			a = escape.Text(a)
		}
		if len(a) > left || none && i > 0 {
			return append(out, "… "+strconv.Itoa(len(argv)-i)+" more")
		}
		left -= len(a)
		out = append(out, a)
	}
	return out
}

// append writes a whole line or nothing. The file is opened anew when it is not
// the one at Path any more, as after a rotation by another process.
func (l *AuditLog) append(line []byte) error {
	if err := l.open(); err != nil {
		return err
	}
	st, err := l.file.Stat()
	if err != nil {
		return err
	}
	if st.Size()+int64(len(line)) > maxLogFile {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.cut {
		line = append([]byte("\n"), line...)
	}
	n, err := l.file.Write(line)
	l.cut = err != nil && (n > 0 || l.cut)
	return err
}

func (l *AuditLog) open() error {
	if l.file != nil {
		have, err1 := l.file.Stat()
		want, err2 := os.Lstat(l.Path)
		if err1 == nil && err2 == nil && os.SameFile(have, want) {
			return nil
		}
		l.file.Close()
		l.file = nil
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() && st.Mode()&os.ModeCharDevice == 0 {
		f.Close()
		return errors.Join(err, errors.New("audit log "+l.Path+": not a regular file"))
	}
	l.file, l.cut = f, endsInsideLine(l.Path)
	return nil
}

// endsInsideLine looks at what another process, or one before this, has left.
func endsInsideLine(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	last := []byte{'\n'}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		f.ReadAt(last, st.Size()-1)
	}
	return last[0] != '\n'
}

// rotate renames under a lock and looks again, because another process may have
// done it.
func (l *AuditLog) rotate() error {
	if err := eintr.Flock(int(l.file.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	old := l.file
	defer old.Close() // drops the lock
	have, err1 := old.Stat()
	want, err2 := os.Lstat(l.Path)
	l.file = nil
	if err1 == nil && err2 == nil && os.SameFile(have, want) {
		for i := maxLogFiles - 1; i > 0; i-- {
			from := l.Path
			if i > 1 {
				from = rotated(l.Path, i-1)
			}
			if err := os.Rename(from, rotated(l.Path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return l.open()
}

func rotated(path string, n int) string { return path + "." + strconv.Itoa(n) }

// toJournal speaks journald's native protocol: fields as lines of one datagram
// (systemd.io/JOURNAL_NATIVE_PROTOCOL). The line holds no newline, so the plain
// form does. A journal that is absent or slow is not waited for.
func (l *AuditLog) toJournal(line []byte, r Record) {
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

// AuditFilter chooses lines of the log.
type AuditFilter struct {
	Box    string // only this toolbox's
	Denied bool   // only requests that were not allowed
}

func (f AuditFilter) wants(r Record) bool {
	return (f.Box == "" || r.Box == f.Box) &&
		(!f.Denied || r.Event == "request" && r.Decision != Allow && r.Answer != "yes")
}

// ReadAudit calls each for every wanted line of the log at path, the oldest
// file first. With follow it then waits for further lines until ctx ends. A
// line that is none is skipped: the log may have been cut by a full disk.
func ReadAudit(ctx context.Context, path string, f AuditFilter, follow bool, each func(Record) error) error {
	for i := maxLogFiles - 1; i > 0; i-- {
		if file, err := os.Open(rotated(path, i)); err == nil {
			_, err = readLines(file, f, each)
			file.Close()
			if err != nil {
				return err
			}
		}
	}
	var watch *os.File
	if follow { // before the first look, so that nothing comes between
		var err error
		if watch, err = watchDir(filepath.Dir(path), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
			return err
		}
		defer watch.Close()
		defer context.AfterFunc(ctx, func() { watch.SetReadDeadline(time.Unix(1, 0)) })()
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if file != nil {
		defer func() { file.Close() }()
	}
	var offset int64
	for {
		if file != nil {
			n, err := readLines(io.NewSectionReader(file, offset, 1<<62), f, each)
			if offset += n; err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		if _, err := watch.Read(make([]byte, 4096)); err != nil {
			return nil // ctx has ended
		}
		if now, err := os.Open(path); err == nil {
			if file != nil && sameFile(file, now) {
				now.Close()
				continue
			}
			if file != nil {
				if _, err := readLines(io.NewSectionReader(file, offset, 1<<62), f, each); err != nil {
					return err
				}
				file.Close()
			}
			file, offset = now, 0
		}
	}
}

func sameFile(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// readLines returns how many bytes of whole lines it has read.
func readLines(r io.Reader, f AuditFilter, each func(Record) error) (int64, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	var done int64
	for {
		line, err := br.ReadBytes('\n')
		if err != nil { // a line that is still being written waits
			return done, nil
		}
		done += int64(len(line))
		var rec Record
		if json.Unmarshal(line, &rec) != nil || !f.wants(rec) {
			continue
		}
		if err := each(rec); err != nil {
			return done, err
		}
	}
}

// watchDir gives a file that can be read when something in dir changes, of what
// inotify(7) calls events.
func watchDir(dir string, events uint32) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}
