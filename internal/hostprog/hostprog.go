// Package hostprog finds the host's programs that tbx calls, and composes their
// environment. Package programs finds tbx's own parts.
package hostprog

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/executable"
	"github.com/tbx-project/tbx/internal/variables"
)

// Look finds a program in the absolute directories of the caller's PATH. It never uses
// the current directory. The error wraps exec.ErrNotFound.
func Look(name string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if filepath.IsAbs(dir) && executable.Is(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// Podman returns a call of podman. It fails in a user namespace without ids. podman there
// would think that its pause process has ended, and forget it; the next podman would then
// make another mount namespace, in which no container is mounted.
func Podman(ctx context.Context, args ...string) *exec.Cmd {
	path, err := Look("podman")
	if err == nil {
		err = CheckCaller()
	}
	if err != nil {
		return &exec.Cmd{Args: append([]string{"podman"}, args...), Err: err}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0], cmd.Env = "podman", PodmanEnv(os.Environ())
	return cmd
}

// PodmanEnv is the caller's environment for podman, without the variables that would
// connect it to another podman, act on the program itself, or belong to the process that
// systemd started. podman uses the ids of the account in USER, so that is set to the real
// account; a TMPDIR that is not a directory is left out, because podman would fail.
func PodmanEnv(caller []string) []string {
	account, tmpdir, bus := Account(), BadTmpdir(caller), userBus(caller)
	env := slices.DeleteFunc(slices.Clone(caller), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		if account != "" && (name == "USER" || name == "LOGNAME") || tmpdir != "" && name == "TMPDIR" ||
			bus && name == "DBUS_SESSION_BUS_ADDRESS" {
			return true
		}
		return variables.ActsOnPrograms(name) || slices.Contains([]string{
			"CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY", "DOCKER_HOST",
			"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC",
		}, name)
	})
	if account != "" {
		env = append(env, "USER="+account, "LOGNAME="+account)
	}
	return env
}

// userBus says whether the user's systemd has its bus where podman and its runtime look for
// it by themselves. They ask it for cgroups, and one of the caller's own, as of
// dbus-run-session(1), has no systemd.
func userBus(caller []string) bool {
	dir := envset.First(caller, "XDG_RUNTIME_DIR")
	_, manager := os.Stat(filepath.Join(dir, "systemd/private"))
	_, bus := os.Stat(filepath.Join(dir, "bus"))
	return dir != "" && manager == nil && bus == nil
}

func mayWrite(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
