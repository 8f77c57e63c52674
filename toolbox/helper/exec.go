package helper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exec is the last step into a session whose environment must not reach nsenter(1),
// because variables such as LD_PRELOAD would act on nsenter itself, on the host, or whose
// groups must be set inside. args are: the number of a descriptor with the environment,
// NUL-separated, or "-" for the present one; the user to become, as UID:GID and
// supplementary groups after more colons, or "-"; and the command. It returns only on
// failure, with 125, 126 or 127.
func Exec(args []string) int {
	if len(args) < 3 {
		return 125
	}
	env := os.Environ()
	if args[0] != "-" {
		var err error
		if env, err = readEnv(args[0]); err != nil {
			return failed(err)
		}
	}
	if args[1] != "-" {
		if err := becomeUser(args[1]); err != nil {
			return failed(err)
		}
	}
	return become(args[2:], env)
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "tbx: the session cannot begin:", err)
	return 125
}

// readEnv reads an environment from a descriptor, and sets its PATH.
func readEnv(number string) ([]string, error) {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "environment")
	data, err := io.ReadAll(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	os.Clearenv()
	env := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			os.Setenv("PATH", v)
		}
	}
	return env, nil
}

// becomeUser turns the toolbox's root into a user. That also drops the capabilities.
func becomeUser(identity string) error {
	var ids []int
	for part := range strings.SplitSeq(identity, ":") {
		id, err := strconv.Atoi(part)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if len(ids) < 2 {
		return fmt.Errorf("%q does not name a user to become", identity)
	}
	if err := syscall.Setgroups(ids[2:]); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(ids[1], ids[1], ids[1]); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", syscall.Setresuid(ids[0], ids[0], ids[0]))
}

// Terminal is the last step into a session that podman exec opens on a terminal of the
// toolbox: podman sets the terminal's size when the command already runs, which may so
// find one without rows and columns. args are the command. It returns only on failure,
// with 126 or 127.
func Terminal(args []string) int {
	if len(args) == 0 {
		return 125
	}
	for range 200 {
		size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		if err != nil || size.Row > 0 || size.Col > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return become(args, os.Environ())
}

// BeforeExec is called just before a role of this package becomes another program.
var BeforeExec = func() {}

// become looks for a command in PATH and becomes it.
func become(args, env []string) int {
	path, err := exec.LookPath(args[0])
	if err == nil || errors.Is(err, exec.ErrDot) {
		BeforeExec()
		err = syscall.Exec(path, args, env)
	}
	fmt.Fprintf(os.Stderr, "tbx: %s cannot be run: %v\n", args[0], err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return 127
	}
	return 126
}
