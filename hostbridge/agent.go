package hostbridge

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/runner"
	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
)

// Options configures an agent. Every field is required except Settled, Askers, Tbx and
// Log.
type Options struct {
	Dir     string          // the bridge's directory, $XDG_RUNTIME_DIR/tbx/bridge-KEY
	Lookup  Lookup          //
	Runner  []string        // command line of a runner: tbx-box runner
	Settled <-chan struct{} // closed when the agent is in the cgroup for its runners; nil: it is already
	Policy  PolicyDirs      //
	Audit   *AuditLog       //
	Askers  []Asker         // tried in turn, after an attached `tbx agent --prompt`
	Tbx     string          // tbx on the host, for verbs
	Path    string          // SystemPath
	Home    string          // the user's home directory
	Log     io.Writer       // messages for whoever runs the agent by hand
	Ready   func()          // called once requests are taken

	// Linger is how long the agent stays after the last toolbox has stopped, and after
	// its start without any.
	Linger time.Duration
}

// Limits on what toolboxes may have open.
const (
	maxWaiting    = 256 // connections of one toolbox that have not sent their request yet
	maxRunning    = 128 // commands of one toolbox
	maxAll        = 256 // commands of all toolboxes
	maxDeciding   = 64  // requests of one toolbox that are being decided, or asked about
	maxLong       = 4   // requests of one toolbox, of more than one part, that are being read; others wait their turn
	startsPerSec  = 500 // requests of one toolbox, after a burst of startsBurst: more than a loop in a shell makes
	startsBurst   = 200
	startDeadline = 5 * time.Second // for a connection to send its request

	refillPause = 20 * time.Millisecond // from the use of the spare runner to the start of another
)

// agent is a running agent.
type agent struct {
	Options
	program int // descriptor of the runner's file
	asking  *asking
	policy  policyCache
	prompts prompts
	spare   chan *runnerProc // at most one, started ahead of need
	refill  *time.Timer      // starts one
	buffers sync.Pool        // of packets
	said    atomic.Int64     // bytes of messages
	slots   slots            // of running commands
	silent  int              // silent connections of all toolboxes

	mu    sync.Mutex
	boxes map[string]*served
	idle  *time.Timer // ends the agent; runs while boxes is empty
	stop  context.CancelFunc
}

// Serve runs the agent. It returns nil when ctx ends or no toolbox has run for
// Options.Linger, and an error that wraps flock.ErrBusy if an agent runs already.
func Serve(ctx context.Context, o Options) error {
	for _, d := range []string{o.Dir, filepath.Join(o.Dir, "agent"), filepath.Join(o.Dir, "box")} {
		if err := privateDir(d); err != nil {
			return err
		}
	}
	// A killed agent holds the lock until it is gone.
	patience, done := context.WithTimeout(ctx, 2*time.Second)
	lock, err := flock.Wait(patience, filepath.Join(o.Dir, "agent", "lock"))
	done()
	if err != nil {
		return err
	}
	defer lock.Close()
	harden()
	program, err := openProgram(o.Runner[0])
	if err != nil {
		return err
	}
	defer unix.Close(program)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &agent{
		Options: o,
		program: program,
		asking:  newAsking(nil, time.Now),
		spare:   make(chan *runnerProc, 1),
		silent:  silentLimit(),
		buffers: sync.Pool{New: func() any { return new([wire.HeaderSize + wire.MaxBody]byte) }},
		boxes:   map[string]*served{},
		stop:    cancel,
	}
	a.asking.askers = append([]Asker{&a.prompts}, o.Askers...)
	ctl, err := listen(controlSocket(o.Dir), "unix", 0o600)
	if err != nil {
		return err
	}
	defer ctl.Close()
	defer context.AfterFunc(ctx, func() { ctl.Close() })()
	go func() { // nobody could reach this agent, or start another
		ctl.awaitRemoval(ctx.Done())
		cancel()
	}()
	a.idle = time.AfterFunc(o.Linger, cancel)
	a.refill = time.AfterFunc(0, a.prepareRunner)
	defer a.refill.Stop()
	a.resume(ctx)
	if o.Ready != nil {
		o.Ready()
	}
	// Give back the memory of the start after a second: the request that caused the start
	// comes first.
	defer time.AfterFunc(time.Second, debug.FreeOSMemory).Stop()
	a.serveControl(ctx, ctl)
	a.close()
	return nil
}

// close removes the sockets and writes the counts of refusals that are not in the log
// yet.
func (a *agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.boxes {
		s.listener.Close()
		s.refusals.flush()
	}
	select {
	case k := <-a.spare:
		k.dismiss()
	default:
	}
}

// openProgram opens a program that is started by its descriptor. The descriptor's number
// is above those that the program inherits.
func openProgram(path string) (int, error) {
	fd, err := eintr.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fail.Wrap(fail.Unable, err, "program %s", path)
	}
	defer unix.Close(fd)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, runner.ControlFd+1)
	if err != nil {
		return -1, fail.Wrap(fail.Unable, err, "program %s", path)
	}
	return high, nil
}

// harden protects the agent: others of the same user cannot read its memory, it leaves
// no core file, its heap stays small, and its children inherit no descriptor of the
// process that started it.
func harden() {
	unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	unix.Umask(0o077)
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	debug.SetGCPercent(50)
}

// resume opens the sockets of the toolboxes that the previous agent served.
func (a *agent) resume(ctx context.Context) {
	entries, _ := os.ReadDir(filepath.Join(a.Dir, "box"))
	for _, e := range entries {
		if boxID().MatchString(e.Name()) {
			if _, err := a.serveBox(ctx, e.Name(), false); err != nil {
				a.logf("toolbox %s: %v", e.Name(), err)
			}
		}
	}
}

// maxMessages limits the bytes of messages that an agent writes in its life: a failure
// of each request must not fill the disk.
const maxMessages = 1 << 20

func (a *agent) logf(format string, args ...any) {
	if a.Log != nil && a.said.Load() < maxMessages {
		n, _ := fmt.Fprintf(a.Log, format+"\n", args...)
		a.said.Add(int64(n))
	}
}
