package boxinit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/executable"
)

// hostServices are clients of the host's services that first check whether systemd was
// booted, by the directory systemdDir. A toolbox has none: with it, the scripts of
// packages, service(8) and init scripts would send root's requests to the host's systemd
// instead of starting daemons in the toolbox.
var hostServices = []string{"hostnamectl", "timedatectl", "localectl", "loginctl", "systemctl", "machinectl", "networkctl",
	"resolvectl", "systemd-analyze", "systemd-inhibit"}

// passwords are programs that ask for a password, which no account of a toolbox has.
var passwords = []string{"su", "chsh", "passwd"}

const systemdDir = "/run/systemd/system"

// FirstNames returns the commands that First handles for the toolbox's user.
func FirstNames() []string { return slices.Concat(hostServices, passwords) }

// linkFirst puts them into /usr/local/bin, where every shell finds them before the
// toolbox's own programs of these names. It makes none if the owner has one there, or if
// the program is missing: the scripts of packages check whether there is a systemctl.
func (b *box) linkFirst() error {
	var failed []error
	for _, name := range FirstNames() {
		p, script := "/usr/local/bin/"+name, FirstDir+"/"+name
		ours := b.linkTarget(p) == script
		inside := slices.ContainsFunc(SystemPath, func(dir string) bool { return dir+"/"+name != p && b.exists(dir+"/"+name) })
		switch {
		case inside && !b.cfg.NoSudo:
			if !ours && !b.exists(p) {
				failed = append(failed, b.link(p, script))
			}
		case ours:
			failed = append(failed, os.Remove(b.root+p))
		}
	}
	return errors.Join(failed...)
}

// First helps a command that would not work in the toolbox alone. args are the path of
// the script by which it was called (in FirstDir, whose first line names tbx-box) and the
// arguments. It becomes the toolbox's own program of that name, or returns an exit code.
func First(args []string) int {
	if len(args) == 0 {
		return 125
	}
	name := filepath.Base(args[0])
	real := next(name)
	if real == "" {
		fmt.Fprintf(os.Stderr, "%s: command not found\n", name)
		return 127
	}
	argv := append([]string{name}, args[1:]...)
	switch {
	case !ownersCall():
	case slices.Contains(passwords, name):
		argv = asRoot(real, argv)
		real = argv[0]
	case slices.Contains(hostServices, name):
		if code, ran := booted(real, argv); ran {
			return code
		}
	}
	err := syscall.Exec(real, argv, os.Environ())
	fmt.Fprintf(os.Stderr, "tbx: %s cannot be run: %v\n", real, err)
	return 126
}

// ownersCall reports whether the toolbox's user calls, and not root or a daemon's
// account.
func ownersCall() bool {
	var st unix.Stat_t
	return unix.Stat(StateDir, &st) == nil && int(st.Uid) == os.Getuid()
}

// next finds the program of that name in PATH, then in the system's directories. It skips
// those of First.
func next(name string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), SystemPath...) {
		file := filepath.Join(dir, name)
		if !filepath.IsAbs(dir) || filepath.Clean(dir) == FirstDir {
			continue
		}
		if to, err := filepath.EvalSymlinks(file); err != nil || filepath.Dir(to) == FirstDir {
			continue
		}
		if executable.Is(file) {
			return file
		}
	}
	return ""
}

// asRoot returns the call by sudo, which asks this user for nothing. Programs that would
// default to the caller's account get its name.
func asRoot(real string, argv []string) []string {
	name := argv[0]
	argv = append([]string{real}, argv[1:]...)
	if name != "su" && !slices.ContainsFunc(argv[1:], asksNothing) && !hasOperand(argv[1:]) {
		argv = append(argv, account())
	}
	sudo := next("sudo")
	if sudo == "" {
		fmt.Fprintln(os.Stderr, "tbx: accounts of a toolbox have no password, and this one has no sudo; on the host there is: tbx run --root")
		return argv
	}
	return append([]string{sudo, "--"}, argv...)
}

// asksNothing reports whether an option of chsh or passwd is about the program itself, or
// about all accounts.
func asksNothing(arg string) bool {
	return slices.Contains([]string{"-h", "--help", "-V", "--version", "-v", "--list-shells", "-a", "--all"}, arg)
}

// hasOperand reports whether there is an argument that is neither an option nor an
// option's value, chsh(1) and passwd(1).
func hasOperand(args []string) bool {
	value := []string{
		"-s", "--shell", "-R", "--root", "-P", "--prefix", "-i", "--inactive", "-n", "--mindays",
		"-w", "--warndays", "-x", "--maxdays", "-r", "--repository",
	}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return i+1 < len(args)
		case slices.Contains(value, args[i]):
			i++
		case !strings.HasPrefix(args[i], "-"):
			return true
		}
	}
	return false
}

// account returns the caller's name in the toolbox's passwd(5).
func account() string {
	data, _ := os.ReadFile("/etc/passwd")
	uid := fmt.Sprint(os.Getuid())
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == uid {
			return f[0]
		}
	}
	return uid
}

// booted runs a program that sees the host's /run/systemd, in a new mount namespace. ran
// is false if the host has no systemd, or allows no such namespace.
func booted(real string, argv []string) (code int, ran bool) {
	if !dirThere(HostView+systemdDir) || dirThere(systemdDir) {
		return 0, false
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"tbx-box", "booted", real}, argv...), // by another name it is a shim
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	uid, gid := os.Getuid(), os.Getgid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	// The program gets the terminal's signals itself. Catching them here neither ends
	// this process before the program, nor makes the program ignore them.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	if err := cmd.Start(); err != nil {
		signal.Reset()
		return 0, false
	}
	go func() {
		for s := range signals {
			if s == unix.SIGTERM || s == unix.SIGHUP || s == unix.SIGUSR1 || s == unix.SIGUSR2 {
				cmd.Process.Signal(s)
			}
		}
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 125, true
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal()), true
	}
	return cmd.ProcessState.ExitCode(), true
}

// Booted is the process that booted starts: args are the program's path and its
// arguments. If /run/systemd cannot be shown, the program runs without it.
func Booted(args []string) int {
	if len(args) < 2 {
		return 125
	}
	runtime.LockOSThread() // the program inherits this thread's capabilities
	unix.Mount(HostView+"/run/systemd", "/run/systemd", "", unix.MS_BIND|unix.MS_REC, "")
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	err := syscall.Exec(args[0], args[1:], os.Environ())
	fmt.Fprintf(os.Stderr, "tbx: %s cannot be run: %v\n", args[0], err)
	return 126
}

func dirThere(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.IsDir()
}
