package hostbridge

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// listener is a listening socket that removes its file when it is closed.
type listener struct {
	*net.UnixListener
	path string
	file unix.Stat_t
	once sync.Once
}

// listen makes a socket. It replaces the file of an agent that died. Nobody else can
// have put something there: the directory is private.
func listen(path, network string, mode uint32) (*listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fail.Wrap(fail.Unable, err, "socket %s", path)
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "socket %s", path)
	}
	l.SetUnlinkOnClose(false)
	out := &listener{UnixListener: l, path: path}
	if err = unix.Chmod(path, mode); err == nil {
		err = unix.Lstat(path, &out.file)
	}
	if err != nil {
		l.Close()
		return nil, fail.Wrap(fail.Unable, err, "socket %s", path)
	}
	return out, nil
}

// there reports whether the file is still this socket's. A toolbox that shares the
// directory can remove it, as the end of a login does, and the next agent then makes its
// own.
func (l *listener) there() bool {
	var st unix.Stat_t
	return unix.Lstat(l.path, &st) == nil && st.Dev == l.file.Dev && st.Ino == l.file.Ino
}

// Close ends the listening and removes the file, if it is this socket's.
func (l *listener) Close() (err error) {
	l.once.Do(func() {
		if l.there() {
			os.Remove(l.path)
		}
		err = l.UnixListener.Close()
	})
	return err
}

// awaitRemoval returns when the file is no longer this socket's, or when stop is closed.
// It causes no wake-ups.
func (l *listener) awaitRemoval(stop <-chan struct{}) {
	watch, err := watchDir(filepath.Dir(l.path), unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO)
	if err != nil { // the user has no more inotify instances
		<-stop
		return
	}
	defer watch.Close()
	go func() {
		<-stop
		watch.Close()
	}()
	for l.there() {
		if _, err := watch.Read(make([]byte, 4096)); err != nil {
			return
		}
	}
}
