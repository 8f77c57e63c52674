package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/tests/siege/pack"
)

// request makes one request of the bridge, which is refused or hostile in some way, and reports what the host says.
func request(r *rand.Rand, dir string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for _, o := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, o, &unix.Timeval{Sec: 3})
	}
	if unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "sock")}) != nil {
		return
	}
	s := hostileStart(r, dir)
	if !sendStart(r, fd, s) {
		return
	}
	answer := make([]byte, 1<<16)
	n, err := unix.Read(fd, answer)
	if err != nil || n < wire.HeaderSize {
		return
	}
	scan("an answer of the bridge", answer[:n])
	if f, err := wire.Parse(answer[:n]); err == nil && f.Type == wire.TypeStarted && s.Flags == 0 {
		report(pack.Said, "the host began a command", fmt.Sprintf("%q", s.Argv))
	}
}

// hostileStart is a request that the host refuses, or that is hostile in some way.
func hostileStart(r *rand.Rand, dir string) *wire.Start {
	token, _ := os.ReadFile(filepath.Join(dir, "token"))
	if r.IntN(4) == 0 {
		token = []byte(strings.Repeat("t", r.IntN(64)))
	}
	s := &wire.Start{Token: token, Cwd: pick(r, append([]string{config.Home, "/", "/proc/self/root", strings.Repeat("\x1b/", 2000)}, config.Shares...))}
	verbs := [][]string{
		{"notify", config.Evil, strings.Repeat("\u202e", 100)}, {"open-url", "https://example.org/" + config.Evil}, {"open-url", "file://" + config.Secrets[0]},
		{"open-file", "report.pdf"}, {"open-file", config.Secrets[0]}, {"open-file", "../.ssh/id_rsa"}, {"clipboard", "copy"}, {"clipboard", "paste"},
		{"host-upgrade"}, {"nonesuch", "\x00"}, {"notify", strings.Repeat("\x07", 4000)},
	}
	switch r.IntN(4) {
	case 0:
		s.Argv = pick(r, [][]string{{"true"}, {"cat", config.Secrets[0]}, {"sh", "-c", "touch " + config.Home + "/" + config.Evil}, {"sudo", "id"}, {"/bin/true"}, {"tbx", "run", "plain", "id"}})
	default:
		s.Flags, s.Argv = 16, pick(r, verbs)
	}
	for range r.IntN(wire.MaxEnv + 1) {
		s.Env = append(s.Env, pick(r, []string{"LD_PRELOAD=/tmp/x", "PATH=/tmp", "BASH_ENV=x", "DISPLAY=:0", strings.Repeat("\x01", 4000) + "=x", "TBX_HOST_DEPTH=0", config.Evil + "=1"}))
	}
	return s
}

// sendStart sends s, sometimes spoilt, and descriptors. It says whether all was sent.
func sendStart(r *rand.Rand, fd int, s *wire.Start) bool {
	frames, err := s.Frames()
	if err != nil {
		return false
	}
	for _, f := range frames {
		packet := f.Append(nil)
		if r.IntN(10) == 0 {
			packet[r.IntN(len(packet))] ^= byte(1 << r.IntN(8))
		}
		if unix.Sendto(fd, packet, unix.MSG_NOSIGNAL, nil) != nil {
			return false
		}
	}
	send := []int{0, 1, 2}
	for _, path := range []string{pick(r, append([]string{config.Home, "/", "/etc"}, config.Shares...)), "/etc/passwd"} {
		if d, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			defer unix.Close(d)
			send = append(send, d)
		}
	}
	fds := wire.Frame{Type: wire.TypeFds}
	unix.Sendmsg(fd, fds.Append(nil), unix.UnixRights(send[:min(len(send), 3+r.IntN(3))]...), nil, unix.MSG_NOSIGNAL)
	return true
}

func bridgeDirs() []string {
	return []string{"/run/tbx/host", "/run/tbx.old/host", "/run/tbx.aside/host"}
}

func bridge(r *rand.Rand) {
	for range 1 + r.IntN(10) {
		for _, dir := range bridgeDirs() {
			request(r, dir)
		}
	}
}

func bridgeFlood(r *rand.Rand) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		request(r, "/run/tbx/host")
	}
}
