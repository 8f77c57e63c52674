package osupdate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// SystemDirs are the directories of updaters. The caller's PATH is never used to run
// something as root.
func SystemDirs() []string {
	return []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/lib/systemd", "/usr/libexec", "/run/current-system/sw/bin"}
}

// Tools runs upstream's programs: by absolute path, with a clean environment in the C
// locale, without a terminal on their output, and only as long as they show signs of
// life.
type Tools struct {
	Dirs    []string      // absolute directories searched in order; SystemDirs for root
	Env     []string      // besides LC_ALL and PATH; nothing of the caller's for root
	Stdin   *os.File      // for a program that asks polkit on a terminal; may be nil
	Idle    time.Duration // a program that is silent for this long is ended; 0: never
	Patient time.Duration // how long a program may wait for a lock; 0: not at all
	Log     func(argv []string, code int, took time.Duration)
}

// Path finds a program; ErrUnsupported names a missing one.
func (t *Tools) Path(name string) (string, error) {
	for _, dir := range t.Dirs {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fail.New(ErrUnsupported, "%s is not installed in any of %s", name, strings.Join(t.Dirs, ", ")).
		Hint("install %s, or see what tbx found: tbx host doctor", name)
}

// Call is one start of a program.
type Call struct {
	Argv       []string       // Argv[0] absolute
	Lines      func(string)   // each line of stdout and of the progress pipe, as it comes; may be nil
	ErrLines   func(string)   // each line of stderr, as it comes; may be nil
	Waiting    *regexp.Regexp // output that means "I wait for a lock" and is no sign of life; may be nil
	ProgressFD bool           // see Step
	Env        []string       // besides the Tools'
	Interrupt  bool           // it passes an interrupt on to its daemon, and needs a moment for that
}

const (
	keepOutput  = 64 << 20 // stdout beyond it is an error: no status is near this
	keepTail    = 64 << 10 // stderr and error texts
	graceToKill = 5 * time.Second
)

var (
	errIdle   = errors.New("no sign of life")
	errLocked = errors.New("waits for a lock")
	errFlood  = errors.New("does not stop talking")
)

// Run starts a program and returns its stdout and stderr. A code other than 0 is a
// *[ToolError] together with the output; a program that tbx ended is ErrTimeout, ErrBusy
// (it only waited for a lock) or the context's error.
func (t *Tools) Run(ctx context.Context, c Call) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := &watchdog{tools: t, waiting: c.Waiting, cancel: cancel}
	defer watch.stop()

	argv := c.Argv
	out := &sink{limit: keepOutput, line: c.Lines, watch: watch}
	errs := &sink{limit: keepTail, tail: true, line: c.ErrLines, watch: watch}
	pipe := io.Closer(nil)
	var extra []*os.File
	var pumped sync.WaitGroup
	if c.ProgressFD {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		defer w.Close()
		pipe, extra = w, []*os.File{w}
		argv = replaceAll(argv, ProgressFile, "3")
		feed := &sink{limit: keepTail, tail: true, line: c.Lines, watch: watch}
		pumped.Go(func() { io.Copy(feed, r); r.Close() })
	}

	cmd := t.command(ctx, &c, argv)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, errs, extra
	start := time.Now()
	if err = cmd.Start(); err == nil {
		watch.begin(cmd.Process.Pid)
		if pipe != nil {
			pipe.Close()
		}
		err = cmd.Wait()
	}
	out.flush()
	errs.flush()
	code := cmd.ProcessState.ExitCode()
	if t.Log != nil {
		t.Log(argv, code, time.Since(start))
	}
	te := &ToolError{Argv: argv, Code: code, Stderr: errs.buf.String(), Stdout: lastBytes(out.buf.Bytes())}
	if cmd.ProcessState == nil && context.Cause(ctx) == nil {
		return nil, nil, fail.Wrap(ErrBackend, err, "start %s", argv[0])
	}
	ended := t.ended(context.Cause(ctx), te)
	switch {
	case errors.Is(ended, ErrBadOutput):
		return nil, errs.buf.Bytes(), ended
	case ended == nil && err != nil:
		ended = te
	}
	return out.buf.Bytes(), errs.buf.Bytes(), ended
}

// command prepares a program: its surroundings, and how it is ended.
func (t *Tools) command(ctx context.Context, c *Call, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if t.Stdin != nil {
		cmd.Stdin = t.Stdin
	}
	cmd.Env = append([]string{"LC_ALL=C.UTF-8", "PATH=" + strings.Join(slices.Concat(t.Dirs, SystemDirs()), ":"), "RPMOSTREE_CLIENT_ID=tbx"},
		slices.Concat(t.Env, c.Env)...)
	cmd.Dir = "/"
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = graceToKill
	if c.Interrupt {
		cmd.Cancel = func() error { return interrupt(cmd.Process) }
		cmd.WaitDelay = 2 * graceToKill
	}
	return cmd
}

// ended returns the error of a program that tbx has ended because of cause; nil if tbx
// has not.
func (t *Tools) ended(cause error, te *ToolError) error {
	program := te.Argv[0]
	switch {
	case errors.Is(cause, errIdle):
		return fail.Wrap(ErrTimeout, te, "%s gave no sign of life for %s and was ended", program, t.Idle).
			Hint("see what boots next: tbx host status; check the network and the disk, and try again")
	case errors.Is(cause, errLocked):
		return fail.Wrap(ErrBusy, te, "%s waited %s for another program that works on this host", program, t.Patient).
			Hint("try again when it is done: tbx host status shows it")
	case errors.Is(cause, errFlood):
		return fail.Wrap(ErrBadOutput, te, "%s wrote more than %d MiB and was ended", program, keepOutput>>20).
			Hint("see the start of its stderr with --verbose; a newer tbx may know this version")
	case cause != nil:
		return fail.Wrap(fail.Canceled, cause, "%s was ended before it was done", program)
	}
	return nil
}

// interrupt sends SIGINT, and later SIGTERM: a program that was started with SIGINT
// ignored never sees it.
func interrupt(p *os.Process) error {
	err := p.Signal(os.Interrupt)
	time.AfterFunc(graceToKill, func() { _ = p.Signal(syscall.SIGTERM) }) // it has ended long since, or it is time
	return err
}

func replaceAll(argv []string, old, to string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = strings.ReplaceAll(a, old, to)
	}
	return out
}

func lastBytes(b []byte) string { return string(b[max(0, len(b)-keepTail):]) }

// watchdog ends a program that is silent too long, or that waits too long for another
// program's lock.
type watchdog struct {
	tools   *Tools
	waiting *regexp.Regexp
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	pid     int
	written int64 // bytes that the program had written when the clock was set
	timer   *time.Timer
	locked  bool
}

func (w *watchdog) begin(pid int) {
	w.mu.Lock()
	w.pid = pid
	w.mu.Unlock()
	w.touch(nil)
}

// silent is called when a program has printed nothing for Idle. ostree prints nothing at
// all to a pipe while it downloads; its writes to the disk are its sign of life. Wake-ups
// of its threads count as writes too, hence the minimum.
func (w *watchdog) silent() {
	const alive = 16 << 10
	w.mu.Lock()
	now := wrote(w.pid)
	living := now-w.written >= alive
	w.mu.Unlock()
	if living {
		w.touch(nil)
		return
	}
	w.cancel(errIdle)
}

// wrote returns the number of bytes that a process has written, proc_pid_io(5); 0 if it
// is not visible.
func wrote(pid int) (n int64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "wchar: "); ok {
			if n, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
				return 0
			}
		}
	}
	return n
}

func (w *watchdog) touch(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit, end := w.tools.Idle, w.silent
	if w.waiting != nil && w.waiting.Match(p) {
		if w.locked {
			return // the first such line started the clock
		}
		w.locked, limit, end = true, max(w.tools.Patient, time.Nanosecond), func() { w.cancel(errLocked) }
	} else if len(bytes.TrimSpace(p)) == 0 && p != nil {
		return
	} else {
		w.locked = false
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	w.written = wrote(w.pid)
	if limit > 0 {
		w.timer = time.AfterFunc(limit, end)
	}
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// sink collects output and passes on its lines.
type sink struct {
	buf   bytes.Buffer
	limit int
	tail  bool // keep the end instead of the start
	line  func(string)
	part  []byte
	watch *watchdog
}

func (s *sink) Write(p []byte) (int, error) {
	s.watch.touch(p)
	s.buf.Write(p)
	if s.buf.Len() > s.limit {
		if s.tail {
			s.buf.Next(s.buf.Len() - s.limit)
		} else {
			s.buf.Reset()
			s.watch.cancel(errFlood) // it would show signs of life for ever
		}
	}
	if s.line != nil {
		s.part = append(s.part, p...)
		for {
			i := bytes.IndexAny(s.part, "\n\r")
			if i < 0 {
				break
			}
			s.line(string(s.part[:i]))
			s.part = s.part[i+1:]
		}
		if len(s.part) > keepTail {
			s.part = s.part[:0]
		}
	}
	return len(p), nil
}

func (s *sink) flush() {
	if s.line != nil && len(s.part) > 0 {
		s.line(string(s.part))
	}
}

// Percent is a LineFunc for lines with "NN%".
func Percent(task string) LineFunc {
	return func(line string) (Progress, bool) {
		m := percent().FindStringSubmatch(line)
		if m == nil {
			return Progress{}, false
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || n > 100 {
			return Progress{}, false
		}
		return Progress{Task: task, Done: n, Total: 100}, true
	}
}

var percent = pattern.Lazy(`\b(\d{1,3})%`)

// BadOutput returns the error for an unreadable answer of a program.
func BadOutput(argv []string, output []byte, cause error) error {
	te := &ToolError{Argv: argv, Stdout: lastBytes(output)}
	return fail.Wrap(ErrBadOutput, errors.Join(cause, te), "tbx cannot read the answer of %s", filepath.Base(argv[0])).
		Hint("see the answer with --verbose; a newer tbx may know this version")
}
