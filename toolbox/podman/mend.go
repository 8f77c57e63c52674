//go:build remote

package podman

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
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
		var pids []string
		for _, pid := range running {
			pids = append(pids, strconv.Itoa(pid))
		}
		slices.Sort(pids)
		return fail.New(fail.Unable, "podman (%s) cannot find its own processes: somebody has ended its pause process and its monitors; %d of your containers still run without them", program, len(running)).
			Hint("this ends them, with all that runs in them, and the next call mends podman: kill -9 %s", strings.Join(pids, " "))
	case len(ended) == 0: // of a runtime whose state tbx does not know
		return fail.New(fail.Unable, "podman (%s) cannot find its own processes: somebody has ended its pause process and its monitors", program).
			Hint("this stops every container of yours, and mends podman: podman system migrate")
	}
	for _, id := range ended {
		if err := writeExit(exitsDir(runtime), id); err != nil {
			return err
		}
	}
	if out, err := hostprog.Podman(ctx, "system", "migrate").CombinedOutput(); err != nil {
		return fail.Wrap(fail.Unable, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))), "podman (%s) cannot find its own processes, and podman system migrate failed", program).
			Hint("log out and in again, or restart the machine")
	}
	warn("somebody had ended all processes of your containers and podman's own; podman system migrate has put podman's records right", "")
	return nil
}
