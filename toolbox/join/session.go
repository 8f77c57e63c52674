package join

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/internal/inherited"
	"github.com/tbx-project/tbx/internal/variables"
)

// Session is the command to run inside, with its surroundings.
type Session struct {
	Args []string // command and arguments; the command is looked up in the PATH of Env
	Env  []string // the whole environment, name=value
	Dir  string   // working directory inside, absolute
	Root bool     // as the toolbox's root instead of its user
	Box  string   // tbx-box as seen inside

	DropGroups bool  // leave the user's supplementary groups on the host
	Groups     []int // set these instead, numbers inside; empty: none to set
}

// namespaces that a container may have of its own, in nsenter's words, in the
// order of setns: the user namespace gives the right to join the others. The pid
// namespace is the host's in a toolbox that is not isolated.
var namespaces = [...]struct{ kind, flag string }{
	{"user", "--user="}, {"mnt", "--mount="}, {"uts", "--uts="}, {"ipc", "--ipc="}, {"net", "--net="}, {"cgroup", "--cgroup="},
	{"pid", "--pid="},
}

// Nsenter finds nsenter(1) of util-linux in the host's PATH. Go programs have
// several threads and cannot join a user namespace themselves, setns(2).
func Nsenter() (string, error) {
	path, err := hostprog.Look("nsenter")
	if err != nil {
		return "", fmt.Errorf("%w: nsenter(1) is not installed", ErrStale)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Base(real) == "busybox" {
		return "", fmt.Errorf("%w: nsenter(1) is busybox's, which cannot keep the user's credentials", ErrStale)
	}
	return path, nil
}

// mayJoin returns an error if this process may not enter namespaces at all. A system call
// filter answers before the kernel notices that the descriptor does not exist; nsenter
// would end with an unclear message.
func mayJoin() error {
	if err := unix.Setns(-1, unix.CLONE_NEWNS); errors.Is(err, unix.EPERM) {
		return fail.New(fail.Unable, "this process may not enter namespaces: a filter of system calls forbids it, as "+
			"RestrictNamespaces= in a unit does").
			Hint("call tbx from outside, for example by: systemd-run --user --wait --pipe tbx ...")
	}
	return nil
}

// argv returns the nsenter call for s.
func (t *Target) argv(nsenter string, s *Session) ([]string, error) {
	if err := mayJoin(); err != nil {
		return nil, err
	}
	args := []string{"nsenter"}
	pid := strconv.Itoa(t.Record.PID)
	switch {
	case s.Root, len(s.Groups) > 0: // root sets them, and becomes the user
	case s.DropGroups: // nsenter does that when it sets the ids
		args = append(args, "--setuid="+strconv.Itoa(os.Getuid()), "--setgid="+strconv.Itoa(os.Getgid()))
	default:
		args = append(args, "--preserve-credentials")
	}
	for _, ns := range namespaces {
		theirs, err := os.Readlink("/proc/" + pid + "/ns/" + ns.kind)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStale, err)
		}
		if ours, _ := os.Readlink("/proc/self/ns/" + ns.kind); ours != theirs {
			args = append(args, ns.flag+"/proc/"+pid+"/ns/"+ns.kind)
		}
	}
	if t.blind { // nsenter cannot either: begin finds the directory itself
		return append(append(args, "--"), s.Args...), nil
	}
	dir := s.Dir
	if real, _, err := t.stat(dir); err == nil {
		dir = real
	}
	// nsenter opens it before it joins. The path has no links left, so no link of the
	// toolbox is followed on the host.
	args = append(args, "--wd=/proc/"+pid+"/root"+dir, "--")
	return append(args, s.Args...), nil
}

// Exec becomes the session and returns only if it cannot.
func (t *Target) Exec(s *Session, runtimeDir string) error {
	nsenter, err := Nsenter()
	if err != nil {
		return err
	}
	var keep *os.File
	if needsStage(s.Env) || len(s.Groups) > 0 {
		if keep, err = passEnv(s); err != nil {
			return err
		}
	}
	args, err := t.argv(nsenter, s)
	if err != nil {
		return err
	}
	from, _ := cgroupOf(os.Getpid()) // used only where it is known
	if err := t.Attach(runtimeDir, os.Getpid()); err != nil {
		return err
	}
	if !t.Alive() { // it was stopped meanwhile
		if err := t.leave(runtimeDir, from); err != nil {
			return fmt.Errorf("the toolbox was stopped while it was being entered, and its cgroup cannot be left: %w", err)
		}
		return fmt.Errorf("%w: its first process is gone", ErrStale)
	}
	err = inherited.Become(nsenter, args, s.Env)
	if keep != nil {
		keep.Close()
	}
	return fmt.Errorf("%s: %w", nsenter, err)
}

// Command returns the session as a child process, for the initialiser and for
// sessions behind a pty. It is not attached to the cgroup.
func (t *Target) Command(s *Session) (*exec.Cmd, error) {
	nsenter, err := Nsenter()
	if err != nil {
		return nil, err
	}
	args, err := t.argv(nsenter, s)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: nsenter, Args: args, Env: s.Env}, nil
}

// needsStage reports whether env has variables that would act on nsenter itself, which
// starts on the host.
func needsStage(env []string) bool {
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); variables.ActsOnLoader(name) {
			return true
		}
	}
	return false
}

// passEnv puts the environment of s into a descriptor, and makes tbx-box, inside, read it
// from there and become the user with the groups of s.
func passEnv(s *Session) (*os.File, error) {
	fd, err := unix.MemfdCreate("tbx-env", 0) // inherited on purpose; tbx-box closes it
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "tbx-env")
	if _, err := f.WriteString(strings.Join(s.Env, "\x00") + "\x00"); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	s.Args = append([]string{s.Box, "exec", strconv.Itoa(fd), s.Identity()}, s.Args...)
	s.Env = []string{"PATH=/usr/bin:/bin"}
	return f, nil
}

// Identity returns the user that tbx-box exec becomes: UID:GID and supplementary groups,
// or "-" for the present one.
func (s *Session) Identity() string {
	if len(s.Groups) == 0 {
		return "-"
	}
	text := strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())
	for _, gid := range s.Groups {
		text += ":" + strconv.Itoa(gid)
	}
	return text
}
