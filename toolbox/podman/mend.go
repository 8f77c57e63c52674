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

// stranded is how podman begins what it says when it has containers on record as
// running, and can join neither its pause process, which keeps the user namespace,
// nor a container's conmon (pkg/domain/infra/abi/system.go). It says so to every
// command until somebody calls podman system migrate.
const stranded = "invalid internal status, try resetting the pause process"

// mend calls podman system migrate for a stranded podman, and says so: all of the
// user's processes were ended, as by kill -9 -1 or with a job, and the runtime
// directory stayed. It is called only where no container runs that it would stop.
// What still runs podman could not even stop any more, from the new user namespace
// that it gets: then nothing is done, and the user is told what to do.
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
		return fail.New(fail.Unable, "podman (%s) cannot join its own processes, and no container of yours is to be found", program).
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
	warn("all processes of your containers and podman's own had ended; podman system migrate has put podman's records right", "")
	return nil
}

// stillRunning is the error for containers whose monitors are gone, which nobody but
// their user may end. tbx enters its own toolboxes all the same.
func stillRunning(program string, running map[string]int) error {
	var names []string
	for id, pid := range running {
		if monitored(pid) {
			return fail.New(fail.Unable, "podman (%s) cannot join its own processes, though container %s has its monitor", program,
				cmp.Or(containerName(pid), id)).
				Hint("see what podman says itself: podman info")
		}
		names = append(names, fmt.Sprintf("%s (process %d)", cmp.Or(containerName(pid), id[:min(len(id), 12)]), pid))
	}
	slices.Sort(names)
	return fail.New(fail.Unable, "podman (%s) cannot find its own processes: its pause process and its monitors have ended; "+
		"still running without them: %s", program, strings.Join(names, ", ")).
		Hint("a toolbox that runs can still be entered; when the processes named here have ended, the next call mends podman")
}

// monitored says whether the parent of a container's first process is conmon.
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
