package osupdate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
)

// lock makes this tbx the only one that changes the host. It waits for at most wait, and
// then names the holder. The note beside the lock only informs; the kernel's lock
// decides.
func lock(ctx context.Context, path string, wait time.Duration, what Verb) (unlock func(), err error) {
	note := path + ".holder"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fail.Wrap(ErrPermission, err, "lock %s", path)
	}
	waitCtx, cancel := context.WithTimeout(ctx, max(wait, time.Nanosecond))
	defer cancel()
	l, err := flock.Wait(waitCtx, path)
	if errors.Is(err, flock.ErrBusy) {
		h := Holder{What: "another tbx host"}
		if data, err := os.ReadFile(note); err == nil {
			if json.Unmarshal(data, &h) != nil {
				h = Holder{What: "another tbx host"} // ignore a partial note
			}
		}
		return nil, Busy(h)
	}
	if err != nil {
		return nil, fail.Wrap(ErrPermission, err, "lock %s", path)
	}
	data, _ := json.Marshal(Holder{What: "tbx host " + string(what), Who: "tbx", PID: os.Getpid(), Since: time.Now()}) // plain data
	if err := atomicfile.WriteVolatile(note, data, 0o644); err != nil {
		l.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { os.Remove(note); l.Close() }, nil
}

// Busy returns the error for a host on which h works.
func Busy(h Holder) error {
	text := h.What
	if h.Who != "" && h.Who != "tbx" {
		text += " by " + h.Who
	}
	if h.PID > 0 {
		text += fmt.Sprintf(" (process %d)", h.PID)
	}
	if !h.Since.IsZero() {
		text += " since " + h.Since.Local().Format("15:04:05")
	}
	return fail.New(ErrBusy, "the host is busy: %s", text).Hint("try again when it is done")
}

// FileLock returns the holder of an OFD or POSIX lock on path, such as ostree's on
// <sysroot>/ostree/lock (flock(2) would not see it); nil if nobody holds one, or the file
// is missing.
func FileLock(path string) *Holder {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0}
	if err := eintr.Do(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) }); err != nil || l.Type == unix.F_UNLCK {
		return nil
	}
	h := &Holder{What: "a lock on " + path, PID: max(int(l.Pid), 0)}
	if fi, err := f.Stat(); err == nil && h.PID == 0 {
		h.PID = lockHolder(fi)
	}
	h.Who = processName(h.PID)
	return h
}

// lockHolder looks for the process with a lock on that file in /proc/PID/fdinfo, which
// shows OFD locks too; 0 if it is not visible.
func lockHolder(fi os.FileInfo) int {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	want := fmt.Sprintf(":%d ", st.Ino)
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*") // the pattern is constant: no error
	for _, info := range infos {
		if locked(info, want) {
			pid, err := strconv.Atoi(strings.Split(info, "/")[2])
			if err == nil {
				return pid
			}
		}
	}
	return 0
}

func locked(info, inode string) bool {
	f, err := os.Open(info)
	if err != nil {
		return false
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if line := sc.Text(); strings.HasPrefix(line, "lock:") && strings.Contains(line, inode) {
			return true
		}
	}
	return false
}

func processName(pid int) string {
	if pid <= 0 {
		return ""
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// PIDLock returns the holder of a lock that is a file with a process id in it
// (transactional-update, ABRoot). A dead process holds nothing.
func PIDLock(path string) *Holder {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 || errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return nil
	}
	h := &Holder{What: "a lock on " + path, PID: pid, Who: processName(pid)}
	if fi, err := os.Stat(path); err == nil {
		h.Since = fi.ModTime()
	}
	return h
}
