package hostbridge

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
)

// Box describes a toolbox for the agent.
type Box struct {
	ID       string  // the id given to Ensure
	Name     string  // as the policy and the owner know it
	Isolated bool    // it only sees the host's directories in Shares
	Pid      int     // its first process, in the agent's pid namespace; 0 if it is not running
	UIDs     []IDs   // host user ids that its users have; the agent fills this in
	Shares   []Share // directories that it shares under another name, or all of them if it is isolated
}

// IDs is a range of user ids, as in /etc/subuid.
type IDs struct{ First, Count int }

// Share is a directory of the host and its name in the toolbox.
type Share struct{ Host, Box string }

// Lookup returns the present facts about a toolbox. It is called when a toolbox is
// registered and with each of its requests, by several goroutines.
type Lookup func(ctx context.Context, id string) (Box, error)

// peer is the other end of a connection.
type peer struct {
	pid, uid int
	ns       string // own, foreign or unknown, see AuditEntry.NS
	pidfd    int
}

func (p peer) close() { unix.Close(p.pidfd) }

// alive reports whether the process that connected still exists. If it does, earlier
// reads of /proc/PID were about it and not about a successor with its id.
func (p peer) alive() bool {
	ended, err := eintr.Ended(p.pidfd)
	return err == nil && !ended
}

// identify finds out who is at the other end of a connection and whether that may be this
// toolbox. After an error it leaves no descriptor open. Credentials are those at
// connect(2), so a connection serves one request only.
func identify(sock int, box Box) (peer, error) {
	p := peer{pidfd: -1, ns: "unknown"}
	cred, err := unix.GetsockoptUcred(sock, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return p, err
	}
	p.pid, p.uid = int(cred.Pid), int(cred.Uid)
	if !box.mayBe(p.uid) {
		return p, errors.New("the caller is user " + strconv.Itoa(p.uid) + ", who does not belong to this toolbox")
	}
	// Linux 6.5 gives a descriptor of the very process; before, the id may
	// have passed to another between connect and now, and the namespace tells.
	p.pidfd, err = unix.GetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		p.pidfd, err = unix.PidfdOpen(p.pid, 0)
	}
	if err != nil {
		return p, errors.New("the caller has ended")
	}
	// Not /proc/PID/cgroup, which names no container in many set-ups, nor any
	// file in the toolbox, which its root can forge.
	mine, err1 := os.Readlink("/proc/" + strconv.Itoa(p.pid) + "/ns/mnt")
	its, err2 := os.Readlink("/proc/" + strconv.Itoa(box.Pid) + "/ns/mnt")
	switch {
	case err1 == nil && err2 == nil && mine == its:
		p.ns = "own"
	case err1 == nil && err2 == nil:
		p.ns = "foreign"
	}
	if !p.alive() {
		err = errors.New("the caller has ended")
	} else if p.ns != "own" && box.Isolated {
		err = errors.New("the caller is in another mount namespace than the toolbox")
	}
	if err != nil {
		p.close()
		p.pidfd = -1 // nobody may close it again: the number may be reused by then
	}
	return p, err
}

func (b Box) mayBe(uid int) bool {
	if uid == os.Getuid() {
		return true
	}
	return slices.ContainsFunc(b.UIDs, func(r IDs) bool { return r.has(uid) })
}

func (r IDs) has(uid int) bool { return uid >= r.First && uid-r.First < r.Count }

// usersOf returns the host's users in a process's user namespace, user_namespaces(7),
// "uid_map".
func usersOf(pid int) ([]IDs, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/uid_map")
	if err != nil {
		return nil, err
	}
	var out []IDs
	for line := range strings.Lines(string(data)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err != nil {
			return nil, err
		}
		out = append(out, IDs{outside, count})
	}
	return out, nil
}

// sameToken compares in a time that does not depend on the first difference.
func sameToken(a, b []byte) bool {
	return len(a) == tokenSize && subtle.ConstantTimeCompare(a, b) == 1
}
