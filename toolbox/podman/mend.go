//go:build remote

package podman

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/join"
)

// stranded begins podman's error when it has records of running containers, but can join
// neither its pause process, which keeps the user namespace, nor a container's conmon
// (pkg/domain/infra/abi/system.go). Every command gets it until somebody calls podman
// system migrate.
const stranded = "invalid internal status, try resetting the pause process"

// mend calls podman system migrate for a stranded podman, and reports it: all of the
// user's processes were ended, as by kill -9 -1 or with a job, and the runtime directory
// stayed. It does so only if no container runs that migrate would stop. podman could not
// even stop a running one any more, from its new user namespace: then mend does nothing,
// and tells the user what to do.
func mend(ctx context.Context, socket, program string, warn func(text, hint string)) error {
	lock, err := flock.Wait(ctx, socket+".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if hostprog.Podman(ctx, "info").Run() == nil { // another tbx was faster
		return nil
	}
	runtime := filepath.Dir(filepath.Dir(socket))
	running, ended := join.Containers(runtime)
	switch {
	case len(running) > 0:
		return stillRunning(program, running)
	case len(ended) == 0: // of a runtime whose state tbx does not know
		return fail.New(fail.Unable, "podman (%s) cannot join its own processes, and none of your containers can be found", program).
			Hint("what podman itself proposes stops all containers that it still has: podman system migrate")
	}
	for _, id := range ended {
		if err := writeExit(exitsDir(runtime), id); err != nil {
			return err
		}
	}
	if out, err := hostprog.Podman(ctx, "system", "migrate").CombinedOutput(); err != nil {
		return fail.Wrap(fail.Unable, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))),
			"podman (%s) cannot find its own processes, and podman system migrate failed", program).
			Hint("log out and in again, or restart the machine")
	}
	warn("all processes of your containers and podman's own had ended; podman system migrate has repaired podman's records", "")
	return nil
}

// stillRunning returns the error for containers without monitors, which only their user
// may end. tbx still enters its own toolboxes.
func stillRunning(program string, running map[string]int) error {
	var names []string
	for id, pid := range running {
		if monitored(pid) {
			return fail.New(fail.Unable, "podman (%s) cannot join its own processes, though container %s has its monitor", program,
				cmp.Or(containerName(pid), id)).
				Hint("see podman's own message: podman info")
		}
		names = append(names, fmt.Sprintf("%s (process %d)", cmp.Or(containerName(pid), id[:min(len(id), 12)]), pid))
	}
	slices.Sort(names)
	return fail.New(fail.Unable, "podman (%s) cannot find its own processes: its pause process and its monitors have ended; "+
		"still running without them: %s", program, strings.Join(names, ", ")).
		Hint("a running toolbox can still be entered; when these processes have ended, the next call repairs podman")
}

// monitored reports whether the parent of a container's first process is conmon.
func monitored(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return false
	}
	comm, err := os.ReadFile("/proc/" + fields[1] + "/comm")
	return err == nil && strings.TrimSpace(string(comm)) == "conmon"
}
