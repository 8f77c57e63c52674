package treecopy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Orders of Serve, one a line. The end of its input, or another line, is the order to
// remove the copy.
const (
	OrderPass   = "pass"   // copy what differs
	OrderFrozen = "frozen" // the same while the cgroup behind a blank stands still
	OrderCommit = "commit" // put the copy at its place
)

// Event is a message of Serve, as a line of JSON. One field is set.
type Event struct {
	Size     *Measured `json:"size,omitempty"`
	Progress *Size     `json:"progress,omitempty"`
	Pass     *Passed   `json:"pass,omitempty"`
	Done     bool      `json:"done,omitempty"`
	Failed   *Failure  `json:"failed,omitempty"`
}

// Measured is sent first.
type Measured struct {
	Size
	Free   int64 `json:"free"`   // bytes that are free where the copy will be
	Shared bool  `json:"shared"` // the file system shares blocks between files: the copy takes little of that
}

// Passed is sent after a pass.
type Passed struct {
	Changed int64         `json:"changed"` // number of changes; 0: the copy was the same already
	Frozen  time.Duration `json:"frozen"`  // how long the cgroup stood still, in nanoseconds
}

// Failure is sent instead of anything else.
type Failure struct {
	Text string `json:"text"`
	Full bool   `json:"full,omitempty"` // there is no room left
}

// Part is the directory in which a copy is made, beside its place. If Serve is killed, it
// is left, and the next one for the same place removes it.
func Part(into, name string) string { return filepath.Join(into, name+".tbx-part") }

// Serve copies a tree by orders that it reads from in. args are the directory to copy,
// the target's parent, and the target's name, which may be that of an empty directory. It
// runs on the host as the root of podman's user namespace. In whatever way it ends, the
// source is as it was, and nothing but a complete copy has that name. With "--remove" as
// the directory, it removes a killed one's leftovers.
func Serve(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("copy: it needs a directory, the one to copy it into and a name")
	}
	if args[0] == "--remove" {
		return Remove(Part(args[1], args[2]))
	}
	s := &server{events: json.NewEncoder(out), into: args[1], name: args[2]}
	err := s.run(args[0], in)
	if err == nil || errors.Is(err, ErrCanceled) {
		return err
	}
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	s.tell(Event{Failed: &Failure{Text: err.Error(), Full: full}})
	return nil // it is told
}

type server struct {
	copier     *Copier
	source     int
	place      int // directory of into
	into, name string

	mu     sync.Mutex
	events *json.Encoder
}

func (s *server) tell(ev Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.Encode(ev)
}

func (s *server) run(source string, in io.Reader) (err error) {
	if s.source, err = openDir(unix.AT_FDCWD, source); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	defer unix.Close(s.source)
	if s.place, err = openDir(unix.AT_FDCWD, s.into); err != nil {
		return fmt.Errorf("%s: %w", s.into, err)
	}
	defer unix.Close(s.place)
	part := filepath.Base(Part(s.into, s.name))
	if s.copier, err = New(s.place, part); err != nil {
		return fmt.Errorf("%s: %w", Part(s.into, s.name), err)
	}
	defer func() {
		s.copier.Close()
		err = errors.Join(err, removeAt(s.place, part))
	}()
	orders := make(chan string)
	go s.read(in, orders)
	if err := s.measure(); err != nil {
		return err
	}
	for order := range orders {
		cgroup, frozen := strings.CutPrefix(order, OrderFrozen+" ")
		switch {
		case order == OrderPass:
			err = s.pass("")
		case frozen:
			err = s.pass(cgroup)
		case order == OrderCommit:
			return s.commit()
		default:
			return ErrCanceled
		}
		if err != nil {
			return err
		}
	}
	return ErrCanceled
}

// read passes the orders on. If their sender has ended, it wants no copy.
func (s *server) read(in io.Reader, orders chan<- string) {
	lines := bufio.NewScanner(in)
	last := ""
	for lines.Scan() {
		last = lines.Text()
		orders <- last
	}
	if last != OrderCommit { // which is not to be stopped half-way
		s.copier.Cancel()
	}
	close(orders)
}

func (s *server) measure() error {
	m := Measured{}
	var err error
	if m.Size, err = s.copier.Measure(s.source); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(s.copier.work, &fs); err != nil {
		return err
	}
	m.Free, m.Shared = int64(fs.Bavail)*fs.Bsize, s.copier.sharesBlocks()
	return s.tell(Event{Size: &m})
}

// sharesBlocks tries whether two files here may share their blocks.
func (c *Copier) sharesBlocks() bool {
	a, err := openat(c.work, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	defer unix.Close(a)
	b, err := openat(c.work, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false
	}
	defer unix.Close(b)
	return unix.IoctlFileClone(b, a) == nil
}

// told is how often a pass reports its progress.
const told = 200 * time.Millisecond

// pass carries out one pass, with a cgroup, if one is named, standing still.
func (s *server) pass(cgroup string) error {
	end := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() { s.progress(end) })
	changed, frozen, err := s.still(cgroup)
	close(end)
	shown.Wait()
	if err != nil {
		return err
	}
	return s.tell(Event{Pass: &Passed{changed, frozen}})
}

func (s *server) still(cgroup string) (changed int64, frozen time.Duration, err error) {
	if cgroup == "" {
		changed, err = s.copier.Pass(s.source)
		return changed, 0, err
	}
	begin := time.Now()
	if err := freeze(cgroup); err != nil {
		return 0, 0, errors.Join(err, Thaw(cgroup))
	}
	changed, err = s.copier.Pass(s.source)
	return changed, time.Since(begin), errors.Join(err, Thaw(cgroup))
}

func (s *server) progress(end <-chan struct{}) {
	tick := time.NewTicker(told)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			err := s.tell(Event{Progress: &Size{s.copier.Done.Entries.Load(), s.copier.Done.Bytes.Load()}})
			if err != nil {
				s.copier.Cancel() // nobody listens
			}
		}
	}
}

func (s *server) commit() error {
	if err := s.copier.Finish(s.place, s.name); err != nil {
		return err
	}
	return s.tell(Event{Done: true})
}

// stopped is the longest time for a cgroup's processes to stand still. A process that
// waits for a lost disk never does.
const stopped = 5 * time.Second

// freeze makes a cgroup stand still (kernel, admin-guide/cgroup-v2.rst).
func freeze(cgroup string) error {
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.freeze"), []byte("1"), 0); err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < stopped; time.Sleep(time.Millisecond) {
		events, err := os.ReadFile(filepath.Join(cgroup, "cgroup.events"))
		if err != nil {
			return err
		}
		if strings.Contains(string(events), "frozen 1") {
			return nil
		}
	}
	return fmt.Errorf("its processes do not stand still within %v", stopped)
}

// Thaw lets the processes of a cgroup run again.
func Thaw(cgroup string) error {
	return os.WriteFile(filepath.Join(cgroup, "cgroup.freeze"), []byte("0"), 0)
}
