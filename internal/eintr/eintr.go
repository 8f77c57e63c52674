// Package eintr repeats system calls that a signal has interrupted. Go's runtime sends
// SIGURG to its own threads at any time, and installs its handlers with SA_RESTART; but
// poll(2), connect(2) and open(2) of some file systems still return EINTR, signal(7).
// EINTR is no answer to the call: code that takes it for one fails at random.
//
// It is linked into tbx-box: standard library and x/sys only.
package eintr

import (
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Do calls f until it returns something other than EINTR.
func Do(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Get calls f until its error is something other than EINTR.
func Get[T any](f func() (T, error)) (T, error) {
	for {
		if v, err := f(); !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

// Open is open(2).
func Open(path string, flags int, mode uint32) (int, error) {
	return Get(func() (int, error) { return unix.Open(path, flags, mode) })
}

// Ready is poll(2) without waiting. It returns how many of fds have an event.
func Ready(fds []unix.PollFd) (int, error) {
	return Get(func() (int, error) { return unix.Poll(fds, 0) })
}

// Await is poll(2) that waits until one of fds has an event.
func Await(fds []unix.PollFd) (int, error) {
	return Get(func() (int, error) { return unix.Poll(fds, -1) })
}

// Within is poll(2) that waits at most that long, then it returns 0.
func Within(fds []unix.PollFd, limit time.Duration) (int, error) {
	end := time.Now().Add(limit) // monotonic
	return Get(func() (int, error) {
		left := max(time.Until(end), 0)
		return unix.Poll(fds, int(min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)))
	})
}

// Sleep is nanosleep(2), to its end.
func Sleep(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	Do(func() error { return unix.Nanosleep(&left, &left) })
}

// Ended reports whether the process of a pidfd has ended, pidfd_open(2).
func Ended(pidfd int) (bool, error) {
	n, err := Ready([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}})
	return n > 0, err
}

// Connect is connect(2) to a unix socket. There an interrupted call has done
// nothing and is repeated, unlike with TCP.
func Connect(sock int, path string) error {
	return Do(func() error { return unix.Connect(sock, &unix.SockaddrUnix{Name: path}) })
}

// Flock is flock(2).
func Flock(fd, how int) error {
	return Do(func() error { return unix.Flock(fd, how) })
}
