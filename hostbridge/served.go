package hostbridge

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/selinux"
)

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

// serveBox opens the socket of a running toolbox, unless it is open. begun: the toolbox
// has just been started, and gets a new token if the agent does not know this start;
// else it must have a token from a previous agent.
func (a *agent) serveBox(ctx context.Context, id string, begun bool) (*served, error) {
	if !boxID().MatchString(id) {
		return nil, fail.New(fail.Usage, "%q is no id of a toolbox", id)
	}
	box, pidfd, err := a.firstProcess(ctx, id)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	dir := BoxDir(a.Dir, id)
	if s := a.boxes[id]; s != nil && s.box.Pid == box.Pid && s.whole(dir) {
		unix.Close(pidfd)
		s.rename(box.Name)
		return s, nil
	} else if s != nil {
		a.dropLocked(s)
	}
	s, err := a.openBox(box, dir, begun)
	if err != nil {
		unix.Close(pidfd)
		return nil, err
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

// firstProcess looks a toolbox up and opens a pidfd of its first process. It looks
// twice, because the number may belong to another process by then.
func (a *agent) firstProcess(ctx context.Context, id string) (box Box, pidfd int, err error) {
	if box, err = a.Lookup(ctx, id); err != nil {
		return box, -1, err
	}
	gone := fail.New(fail.NotFound, "toolbox %s is not running", box.Name)
	if box.Pid <= 0 {
		return box, -1, gone
	}
	if pidfd, err = unix.PidfdOpen(box.Pid, 0); err != nil {
		return box, -1, fail.Wrap(fail.NotFound, err, "toolbox %s is not running", box.Name)
	}
	if box.UIDs, err = usersOf(box.Pid); err != nil {
		unix.Close(pidfd)
		return box, -1, fail.Wrap(nil, err, "toolbox %s", box.Name)
	}
	if now, err := a.Lookup(ctx, id); err != nil || now.Pid != box.Pid {
		unix.Close(pidfd)
		return box, -1, gone
	}
	return box, pidfd, nil
}

// openBox makes the directory, the token and the socket of a toolbox.
func (a *agent) openBox(box Box, dir string, begun bool) (*served, error) {
	err := privateDir(dir)
	if begun {
		err = prepare(a.Dir, box.ID)
	}
	if err != nil {
		return nil, err
	}
	token, err := readToken(dir)
	if err != nil {
		return nil, fail.Wrap(nil, err, "bridge directory %s", dir)
	}
	dirMode, sockMode := uint32(0o700), uint32(0o600)
	if !slices.ContainsFunc(box.UIDs, func(r IDs) bool { return r.has(os.Getuid()) }) {
		// Its users are not the host user and have no rights over that user's files; the
		// directories above keep everybody else out.
		dirMode, sockMode = 0o711, 0o666
	}
	if err := unix.Chmod(dir, dirMode); err != nil {
		return nil, err
	}
	var l *listener
	// With SELinux a container may connect to a socket with its own label, which no other
	// container has.
	makeSocket := func() { l, err = listen(filepath.Join(dir, "sock"), "unixpacket", sockMode) }
	if why := selinux.MakeSockets(labelFor(box.Pid), makeSocket); why != nil {
		a.logf("toolbox %s: SELinux may keep it from the bridge: %v", box.Name, why)
	}
	if err != nil {
		return nil, err
	}
	return a.newServed(box, token, l), nil
}

func (a *agent) newServed(box Box, token []byte, l *listener) *served {
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
		a.Audit.Write(AuditEntry{Event: "refused", BoxID: box.ID, Box: s.current().Name, More: more, Reason: last})
	}
	return s
}

// labelFor returns the SELinux label for the socket, if the toolbox has its own label.
func labelFor(pid int) string {
	if label := selinux.Label(pid); label != selinux.Label(os.Getpid()) {
		return label
	}
	return ""
}

// whole reports whether the toolbox can reach the socket. The toolbox may have removed
// it, with other files in directories that it shares.
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

// accept accepts connections until the listener is closed. When too many are silent, the
// oldest of them is closed.
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

// boxesServed returns the number of toolboxes with a socket.
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

// current returns the toolbox with its present name.
func (s *served) current() Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.box
	box.Name = s.name
	return box
}
