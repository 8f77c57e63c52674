package stage

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
	mark  string // MarkVariable=VALUE
	pid   int    // of its first process ...
	pidfd int    // ... which this holds; -1: not seen yet
}

// look finds its first process: the child of the monitor with the mark, which has none
// itself, as the runtime does that starts it. Of what runs as the toolbox's root the
// environment cannot be read.
func (s *execSession) look() {
	if s.pidfd >= 0 {
		return
	}
	parents, monitors := map[int]int{}, map[int]bool{}
	all, _ := os.ReadDir("/proc")
	for _, d := range all {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		p := describe(pid)
		parents[pid] = p.parent
		monitors[pid] = p.name == "conmon" && s.marks(pid)
	}
	for pid, parent := range parents {
		if !monitors[parent] || s.marks(pid) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if describe(pid).parent == parent && s.marks(parent) { // again: it is held only now
			s.pid, s.pidfd = pid, fd
			return
		}
		unix.Close(fd)
	}
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
	for wait := 100 * time.Millisecond; s.pidfd < 0; wait *= 2 {
		if wait > time.Second {
			return
		}
		time.Sleep(wait)
		s.look()
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
	foreground    int // group in the foreground of its terminal, or -1
}

func describe(pid int) process {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')') // a name may have any characters
	f := strings.Fields(string(data[end+1:]))
	if open < 0 || len(f) < 6 {
		return process{foreground: -1}
	}
	p := process{name: string(data[open+1 : end])}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.foreground, _ = strconv.Atoi(f[5])
	return p
}
