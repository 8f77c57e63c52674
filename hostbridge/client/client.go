// Package client is the toolbox's side of the bridge: it sends a request to the agent on
// the host and then stands in for the command: its terminal, its signals, its exit code.
//
// It is linked into tbx-box, which must start in a millisecond and stay small: standard
// library and x/sys, no fmt, no encoding. It needs nothing of the toolbox but the kernel
// and the bridge's directory.
package client

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/escape"
)

// DefaultDir is where a toolbox has its bridge directory, or a link to it.
const DefaultDir = "/run/tbx/host"

// Request describes a command to run on the host.
type Request struct {
	Dir     string   // bridge directory, DefaultDir
	Verb    bool     // Argv is a verb and its arguments
	Argv    []string //
	Env     []string // names of further variables to pass, which the policy must allow
	HostCwd string   // directory of the host to run in; empty: the current one, which must be shared
	File    string   // the file that the last argument names, for the verb open-file
	Detach  bool     // the command may outlive this process
}

// Result describes how the command ended.
type Result struct {
	Code   int  // exit code; 125 the bridge failed, 126 denied or not executable, 127 not found
	Signal int  // if not 0, the command died of it
	job    bool // which was typed, so that it is for this process's whole job

	Message, Hint string // for the user, if the bridge did not run the command to its end
}

// failed returns a result for a failure of the bridge itself.
func failed(message, hint string) Result { return Result{Code: 125, Message: message, Hint: hint} }

// Run sends the request and stands in for the command until it ends. It takes
// over the process's signals and descriptors 0, 1 and 2, and puts the terminal
// back as it was.
func Run(req Request) Result {
	if req.Dir == "" {
		req.Dir = DefaultDir
	}
	if unix.Getuid() != unix.Geteuid() || unix.Getgid() != unix.Getegid() {
		return failed("refusing to run with another user's rights", "remove the set-user-id bit from tbx-box")
	}
	sock, token, err := connect(req.Dir)
	if err != nil {
		return failed("cannot reach the bridge to the host: "+err.Error(), "run any tbx command on the host, such as: tbx enter")
	}
	l := &loop{sock: sock, master: -1}
	l.term.detect()
	frames, fds, err := l.request(req, token)
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return Result{Code: 126, Message: "the command has more arguments than can be sent to the host",
			Hint: "at most " + strconv.Itoa(wire.MaxArgs) + ", of 4 MiB together"}
	case err != nil:
		return failed(strings.TrimPrefix(err.Error(), "wire: "), "")
	}
	for _, f := range frames {
		if err = wire.Send(sock, f); err != nil { // it may have been refused already: the answer says why
			break
		}
	}
	// This takes a while, in which the host decides. The command cannot have
	// started yet: it lacks its descriptors.
	l.catchSignals()
	if err == nil {
		wire.Send(sock, wire.Frame{Type: wire.TypeFds}, fds...)
	}
	wire.CloseAll(fds[3:])
	defer l.term.restore()
	return l.run()
}

// connect opens the socket and checks that the other end belongs to the owner of the
// directory.
func connect(dir string) (sock int, token []byte, err error) {
	if dir == DefaultDir { // the initialiser links it to where the directory is seen here
		if to, err := os.Readlink(dir); err == nil {
			dir = to
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return -1, nil, errors.New(dir + ": " + err.Error())
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o022 != 0 {
		return -1, nil, errors.New(dir + ": not a directory that only its owner can write")
	}
	token, err = os.ReadFile(dir + "/token")
	if err != nil {
		return -1, nil, err
	}
	sock, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, err
	}
	// A stopped agent accepts no connection and reads nothing.
	limit := unix.NsecToTimeval(answerLimit.Nanoseconds())
	unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	if err = eintr.Connect(sock, dir+"/sock"); errors.Is(err, unix.EAGAIN) {
		err = errors.New("the agent there does not answer")
	} else if err != nil {
		err = errors.New(dir + "/sock: " + err.Error())
	} else {
		var cred *unix.Ucred
		cred, err = unix.GetsockoptUcred(sock, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil && cred.Uid != st.Uid {
			err = errors.New(dir + "/sock: somebody else than the directory's owner answers")
		}
	}
	if err != nil {
		unix.Close(sock)
		return -1, nil, err
	}
	return sock, token, nil
}

// request encodes the frames, and lists the descriptors that go with them: three for the
// command, then those that the caller passes.
func (l *loop) request(req Request, token []byte) ([]wire.Frame, []int, error) {
	s := &wire.Start{
		Flags: l.term.mask, Token: token, Session: os.Getenv("TBX_SESSION"),
		Rows: l.term.size.Row, Cols: l.term.size.Col, Termios: l.term.bytes(),
		Cwd: req.HostCwd, Argv: req.Argv, Env: environ(req.Env),
	}
	if l.term.foreground() && l.term.whole() {
		s.Flags |= wire.FlagForeground
		l.fg = true
	}
	if len(s.Session) > wire.MaxSession {
		s.Session = ""
	}
	cwd, err := eintr.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.New("the current directory cannot be opened: " + err.Error())
	}
	null, err := eintr.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.New("/dev/null: " + err.Error())
	}
	fds := []int{0, 1, 2, cwd}
	for i := range 3 { // a terminal of the toolbox is of no use on the host
		if s.Flags&(wire.FlagTTYIn<<i) != 0 {
			fds[i] = null
		}
	}
	if req.HostCwd != "" {
		s.Flags |= wire.FlagHostCwd
	} else if s.Cwd, err = os.Getwd(); err != nil {
		return nil, nil, errors.New("the current directory has no name any more: " + err.Error())
	}
	if req.Verb {
		s.Flags |= wire.FlagVerb
	}
	if req.Detach {
		s.Flags |= wire.FlagDetach
	}
	if req.File != "" {
		file, err := eintr.Open(req.File, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, nil, errors.New(req.File + ": " + err.Error())
		}
		s.Flags |= wire.FlagFile
		fds = append(fds, file)
	}
	frames, err := s.Frames()
	return frames, fds, err
}

// environ selects the variables that the host may want. The host selects again.
func environ(extra []string) []string {
	var out []string
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		wanted := strings.HasPrefix(name, "LC_")
		for _, n := range append([]string{"TERM", "COLORTERM", "LANG", "NO_COLOR", "TZ", "TBX_HOST_DEPTH"}, extra...) {
			wanted = wanted || n == name
		}
		if wanted && name != "" && value != "" && len(kv) <= wire.MaxValue && len(out) < wire.MaxEnv {
			out = append(out, kv)
		}
	}
	return out
}

// Report writes the message and the hint of a result to standard error, escaped: they
// may contain names from outside.
func (r Result) Report() {
	if r.Message != "" {
		os.Stderr.WriteString("tbx: " + escape.Text(r.Message) + "\n")
	}
	if r.Hint != "" {
		os.Stderr.WriteString("tbx: hint: " + escape.Text(r.Hint) + "\n")
	}
}

// Exit ends the process as the command has ended: with its code, or by the
// signal that it died of, so that a shell sees the same. It leaves no core.
func (r Result) Exit() {
	if r.Signal != 0 {
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
		dieOf(syscall.Signal(r.Signal), r.job)
		os.Exit(128 + r.Signal)
	}
	os.Exit(r.Code)
}

// seconds writes a number of seconds for people.
func seconds(n uint32) string { return strconv.Itoa(int(n)) + " s" }
