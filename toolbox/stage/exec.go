package stage

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

// Exec is the last step into a session whose environment must not reach
// nsenter(1), because it has variables such as LD_PRELOAD that would act on
// nsenter itself, on the host. args are the number of a descriptor from which
// the environment is read, NUL-separated, and the command. It returns only on
// failure, with 126 or 127.
func Exec(args []string) int {
	if len(args) < 2 {
		return 125
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		return 125
	}
	f := os.NewFile(uintptr(fd), "environment")
	data, err := io.ReadAll(f)
	f.Close()
	if err != nil {
		return 125
	}
	os.Clearenv()
	env := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			os.Setenv("PATH", v)
		}
	}
	return become(args[1:], env)
}

// Terminal is the last step into a session that podman exec opens on a terminal of
// the toolbox's: podman tells the terminal its size when the command already runs,
// which so may have found one of no rows and columns. args are the command. It
// returns only on failure, with 126 or 127.
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

// become looks for a command in PATH and becomes it.
func become(args, env []string) int {
	path, err := exec.LookPath(args[0])
	if err == nil || errors.Is(err, exec.ErrDot) {
		err = syscall.Exec(path, args, env)
	}
	fmt.Fprintf(os.Stderr, "tbx: %s cannot be run: %v\n", args[0], err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return 127
	}
	return 126
}
