package hostbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/keeper"
	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/selinux"
)

// Options are what an agent is made of. All but Settled, Askers, Tbx and Log is needed.
type Options struct {
	Dir     string          // the bridge's directory, $XDG_RUNTIME_DIR/tbx/bridge-KEY
	Lookup  Lookup          //
	Keeper  []string        // command line of a keeper: tbx-box keep
	Settled <-chan struct{} // closed when the agent is in the cgroup in which keepers shall start; nil: it is
	Policy  PolicyDirs      //
	Audit   *AuditLog       //
	Askers  []Asker         // tried in turn, after an attached `tbx agent --prompt`
	Tbx     string          // tbx on the host, for verbs
	Path    string          // SystemPath
	Home    string          // the user's home directory
	Log     io.Writer       // messages for whoever runs the agent by hand
	Ready   func()          // called once requests are taken

	// Linger is how long the agent stays after the last toolbox has stopped,
	// and after its start with none.
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

	refillPause = 20 * time.Millisecond // from the use of the spare keeper to the start of another
)

// agent is a running agent.
type agent struct {
	Options
	program int // descriptor of the keeper's file
	asking  *asking
	policy  policyCache
	prompts prompts
	spare   chan *keeperProc // at most one, started ahead of need
	refill  *time.Timer      // starts one
	buffers sync.Pool        // of packets
	said    atomic.Int64     // bytes of messages
	slots   slots            // of running commands
	silent  int              // connections of all toolboxes that may say nothing

	mu    sync.Mutex
	boxes map[string]*served
	idle  *time.Timer // ends the agent; runs while boxes is empty
	stop  context.CancelFunc
}

// served is a toolbox that has a socket.
type served struct {
	box      Box
	token    []byte
	listener *listener
	long     chan struct{}      // a slot for each long request that is being read
	deciding chan struct{}      // a slot for each request that is being decided
	limits   map[string]*bucket // of verbs
	notices  bucket             // of notifications that tell the owner of a command
	rate     bucket
	refusals refusals

	mu      sync.Mutex
	name    string
	waiting []*net.UnixConn // that have not sent their request, the oldest first
}

// Serve is the agent. It returns nil when ctx ends or no toolbox has run for
// Options.Linger, and an error that wraps flock.ErrBusy if there is an agent.
func Serve(ctx context.Context, o Options) error {
	for _, d := range []string{o.Dir, filepath.Join(o.Dir, "agent"), filepath.Join(o.Dir, "box")} {
		if err := privateDir(d); err != nil {
			return err
		}
	}
	// An agent that is being killed holds the lock until it is gone.
	patience, done := context.WithTimeout(ctx, 2*time.Second)
	lock, err := flock.Wait(patience, filepath.Join(o.Dir, "agent", "lock"))
	done()
	if err != nil {
		return err
	}
	defer lock.Close()
	harden()
	program, err := openProgram(o.Keeper[0])
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
		spare:   make(chan *keeperProc, 1),
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
	go func() { // nobody could reach this agent, nor start another
		ctl.awaitRemoval(ctx.Done())
		cancel()
	}()
	a.idle = time.AfterFunc(o.Linger, cancel)
	a.refill = time.AfterFunc(0, a.prepareKeeper)
	defer a.refill.Stop()
	a.resume(ctx)
	if o.Ready != nil {
		o.Ready()
	}
	// What the start needed; not before the request that it was started for.
	defer time.AfterFunc(time.Second, debug.FreeOSMemory).Stop()
	a.serveControl(ctx, ctl)
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
	return nil
}

// openProgram opens a program to be started by its descriptor, which is above
// those that the program gets.
func openProgram(path string) (int, error) {
	fd, err := eintr.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fail.Wrap(fail.Unable, err, "program %s", path)
	}
	defer unix.Close(fd)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, keeper.ControlFd+1)
	if err != nil {
		return -1, fail.Wrap(fail.Unable, err, "program %s", path)
	}
	return high, nil
}

// harden makes the agent's memory unreadable to others of the same user, keeps
// it out of core files and its heap small, and keeps what it has inherited from
// who started it from what it starts.
func harden() {
	unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	unix.Umask(0o077)
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	debug.SetGCPercent(50)
}

// resume serves again the toolboxes that an agent before this one served.
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

// serveBox opens the socket of a running toolbox, if it is not open. begun says
// that a start of the toolbox that the agent does not know gets a new token;
// else there must be one of an agent before this one.
func (a *agent) serveBox(ctx context.Context, id string, begun bool) (*served, error) {
	if !boxID().MatchString(id) {
		return nil, fail.New(fail.Usage, "%q is no id of a toolbox", id)
	}
	dir := BoxDir(a.Dir, id)
	box, err := a.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if box.Pid <= 0 {
		return nil, fail.New(fail.NotFound, "toolbox %s is not running", box.Name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.boxes[id]; s != nil && s.box.Pid == box.Pid && s.whole(dir) {
		s.rename(box.Name)
		return s, nil
	} else if s != nil {
		a.dropLocked(s)
	}
	if begun {
		err = prepare(a.Dir, id)
	} else {
		err = privateDir(dir)
	}
	if err != nil {
		return nil, err
	}
	token, err := readToken(dir)
	if err != nil {
		return nil, fail.Wrap(nil, err, "bridge directory %s", dir)
	}
	if box.UIDs, err = usersOf(box.Pid); err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s", box.Name)
	}
	pidfd, err := unix.PidfdOpen(box.Pid, 0)
	if err != nil {
		return nil, fail.Wrap(fail.NotFound, err, "toolbox %s is not running", box.Name)
	}
	dirMode, sockMode := uint32(0o700), uint32(0o600)
	if !slices.ContainsFunc(box.UIDs, func(r IDs) bool { return r.has(os.Getuid()) }) {
		// Its users are none of ours and have no rights over our files; the
		// directories above keep everybody else out.
		dirMode, sockMode = 0o711, 0o666
	}
	if err := unix.Chmod(dir, dirMode); err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	var l *listener
	// With SELinux a container may connect to what has its own label, and no other container has that.
	if why := selinux.MakeSockets(labelFor(box.Pid), func() { l, err = listen(filepath.Join(dir, "sock"), "unixpacket", sockMode) }); why != nil {
		a.logf("toolbox %s: SELinux may keep it from the bridge: %v", box.Name, why)
	}
	if err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	s := &served{
		box: box, token: token, listener: l,
		name:     box.Name,
		long:     make(chan struct{}, maxLong),
		deciding: make(chan struct{}, maxDeciding),
		limits:   verbLimits(),
		notices:  bucket{burst: 10, perSec: 10.0 / 60},
		rate:     bucket{burst: startsBurst, perSec: startsPerSec},
	}
	s.refusals.rate = bucket{burst: refusalBurst, perSec: 1 / refusalPause.Seconds()}
	s.refusals.tell = func(more uint64, last string) {
		a.Audit.Write(Record{Event: "refused", BoxID: id, Box: s.current().Name, More: more, Reason: last})
	}
	a.boxes[id] = s
	a.idle.Stop()
	go a.accept(ctx, s)
	go func() {
		waitEnd(pidfd)
		a.drop(s)
	}()
	return s, nil
}

// labelFor is the SELinux label of a toolbox that has one of its own, for its socket.
func labelFor(pid int) string {
	if label := selinux.Label(pid); label != selinux.Label(os.Getpid()) {
		return label
	}
	return ""
}

// whole says that the toolbox can reach the socket. It may have removed it, with
// all else in directories that it shares.
func (s *served) whole(dir string) bool {
	token, err := readToken(dir)
	return err == nil && sameToken(token, s.token) && s.listener.there()
}

// waitEnd returns when the process has ended. It costs a thread and no wake-ups.
func waitEnd(pidfd int) {
	eintr.Await([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}})
	unix.Close(pidfd)
}

func (a *agent) drop(s *served) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.boxes[s.box.ID] == s {
		a.dropLocked(s)
	}
}

func (a *agent) dropLocked(s *served) {
	s.listener.Close() // removes the socket
	go s.refusals.flush()
	delete(a.boxes, s.box.ID)
	a.asking.forget(s.box.ID)
	if len(a.boxes) == 0 {
		a.idle.Reset(a.Linger)
	}
}

// accept takes connections until the listener is closed. When too many say
// nothing, the one that has been silent longest makes room.
func (a *agent) accept(ctx context.Context, s *served) {
	for {
		conn, err := s.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) || err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors: some will be closed
			continue
		}
		a.hold(s, conn)
		go a.handle(ctx, s, conn)
	}
}

// heard takes a connection off the list of silent ones.
func (s *served) heard(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, conn); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

// boxesServed is how many toolboxes have a socket.
func (a *agent) boxesServed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.boxes)
}

func (s *served) rename(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

// current is the toolbox with the name that it has now.
func (s *served) current() Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box
	box.Name = s.name
	return box
}

// maxMessages is how many bytes of messages an agent writes in its life: what
// fails for each request must not fill the disk.
const maxMessages = 1 << 20

func (a *agent) logf(format string, args ...any) {
	if a.Log != nil && a.said.Load() < maxMessages {
		n, _ := fmt.Fprintf(a.Log, format+"\n", args...)
		a.said.Add(int64(n))
	}
}
