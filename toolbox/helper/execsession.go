package helper

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MarkVariable is in the environment of a call of podman exec, with another value for
// each. By its name podman passes it on to its monitor, conmon (podman 4 passes those of
// the locale, podman 5 all), and to nothing in the toolbox.
const MarkVariable = "LC_TBX_EXEC"

// execSession is what podman exec has started, as the host sees it. The monitor has its
// terminal or its pipes, and leaves it running when podman ends first.
type execSession struct {
	podman int          // process number of podman exec
	mark   string       // MarkVariable=VALUE
	older  map[int]bool // processes that began before podman; nil: not looked at yet
	pid    int          // of its first process ...
	pidfd  int          // ... which this holds; -1: not seen yet
}

// look finds its first process: the child of the monitor with the mark, which has none
// itself, as the runtime does that starts it. Of what runs as the toolbox's root the
// environment cannot be read. It returns whether more may come: something with the mark
// is there, and the first process is not. Each look reads the names of all processes, but
// only those that are younger than podman themselves.
func (s *execSession) look() (more bool) {
	if s.pidfd >= 0 {
		return false
	}
	marked, rest := map[int]bool{}, map[int]int{} // of the rest the parents
	for _, pid := range s.younger() {
		if s.marks(pid) {
			marked[pid] = true
		} else {
			rest[pid] = describe(pid).parent
		}
	}
	for pid, parent := range rest {
		if !marked[parent] || describe(parent).name != "conmon" {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if describe(pid).parent == parent && s.marks(parent) { // again: it is held only now
			s.pid, s.pidfd = pid, fd
			return false
		}
		unix.Close(fd)
	}
	return len(marked) > 0
}

// younger are the processes that began after podman, or in the same tick.
func (s *execSession) younger() (pids []int) {
	var began int64
	first := s.older == nil
	if first {
		s.older = map[int]bool{}
		began = describe(s.podman).began
	}
	all, _ := os.ReadDir("/proc")
	for _, d := range all {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == s.podman {
			continue
		}
		if first && describe(pid).began < began {
			s.older[pid] = true
		}
		if !s.older[pid] {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *execSession) marks(pid int) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+s.mark+"\x00"))
}

// end does for a session whose podman has ended what the kernel does where a terminal
// goes away: its first process and the group in the foreground are hung up. One without a
// terminal is asked to end. What ignores that goes on, as nohup(1) wants it.
func (s *execSession) end(terminal bool) {
	// podman may have ended while the runtime was about to start it.
	for wait := 10 * time.Millisecond; s.look(); wait *= 2 {
		if wait > 5*time.Second {
			return
		}
		time.Sleep(wait)
	}
	if s.pidfd < 0 {
		return // it has ended, and its monitor too
	}
	p := describe(s.pid)
	sig, group := unix.SIGTERM, p.group
	if terminal {
		sig, group = unix.SIGHUP, p.foreground
	}
	if unix.PidfdSendSignal(s.pidfd, sig, nil, 0) != nil {
		return // it has ended, and its number may be another's
	}
	if group > 1 {
		unix.Kill(-group, sig)
		unix.Kill(-group, unix.SIGCONT)
	}
	unix.PidfdSendSignal(s.pidfd, unix.SIGCONT, nil, 0) // one that is stopped hears nothing
}

// process is what proc_pid_stat(5) says of one, by the numbers that are valid here.
type process struct {
	name          string
	parent, group int
	foreground    int   // group in the foreground of its terminal, or -1
	began         int64 // ticks since the machine's start
}

func describe(pid int) process {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')') // a name may have any characters
	f := strings.Fields(string(data[end+1:]))
	if open < 0 || len(f) < 20 {
		return process{foreground: -1}
	}
	p := process{name: string(data[open+1 : end])}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.foreground, _ = strconv.Atoi(f[5])
	p.began, _ = strconv.ParseInt(f[19], 10, 64)
	return p
}
