package toolbox

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/internal/inherited"
	"github.com/tbx-project/tbx/toolbox/join"
)

// byPodman becomes podman exec: for an isolated toolbox, for one that tbx did
// not make, for a runtime that it does not know, and when the cgroup cannot be
// joined. s is nil where the toolbox cannot be looked into from outside.
func (p *Session) byPodman(s *join.Session) error {
	if err := hostprog.CheckCaller(); err != nil {
		return err
	}
	podman, err := hostprog.Look("podman")
	if err != nil {
		return fail.New(fail.Unable, "podman is not installed, or not in PATH")
	}
	if s == nil {
		if s, err = p.unseen(); err != nil {
			return err
		}
	}
	if err := p.checkTables(); err != nil {
		return err
	}
	args := p.execArgs(s)
	if r := p.Record; r.Isolated {
		if err := checkProcesses(cgroupRoot, r); err != nil {
			return err
		}
		yieldMemory(r.PID)
	}
	env := hostprog.PodmanEnv(p.host.Env)
	if mark, err := p.manager.guard(p.Record.Name, p.opts.Terminal); err == nil {
		env = append(env, mark)
	} else { // no reason to stay outside
		p.manager.debug("nobody looks after podman: %v", err)
	}
	return fmt.Errorf("podman: %w", inherited.Become(podman, args, env))
}

// checkTables refuses a toolbox in which podman would not get an answer from
// /etc/passwd or /etc/group.
func (p *Session) checkTables() error {
	if p.target == nil {
		return nil
	}
	for _, path := range userTables {
		if !p.target.Readable(path, maxTable) {
			name := p.Record.Name
			return fail.New(nil, "toolbox %s cannot be entered: podman would wait for its %s, which is no regular file of at most 16 MiB", name,
				path).
				Hint("what is in it can be copied out: podman cp %s:DIRECTORY DIRECTORY", name)
		}
	}
	return nil
}

// execArgs are the arguments of podman exec for s, from argv[0] on.
func (p *Session) execArgs(s *join.Session) []string {
	r, o := p.Record, p.opts
	args := []string{"podman", "exec", "--interactive", "--detach-keys", ""}
	if o.Terminal {
		args = append(args, "--tty")
	}
	user, command := p.execUser(s)
	args = append(args, "--user", user, "--workdir", s.Dir)
	if o.PreserveFDs > 0 {
		args = append(args, "--preserve-fds", strconv.Itoa(o.PreserveFDs))
	}
	for _, kv := range s.Env {
		if !slices.Contains(r.Env, kv) {
			args = append(args, "--env", kv)
		}
	}
	args = append(args, r.ID)
	// One that has a size itself: helper.Terminal waits for it.
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); o.Terminal && r.Box != "" && err == nil && size.Row > 0 {
		args = append(args, r.Box, "terminal")
	}
	return append(args, command...)
}

// execUser returns the user that podman shall run the command as, and the command.
func (p *Session) execUser(s *join.Session) (user string, command []string) {
	r := p.Record
	switch {
	case p.opts.Root:
		return "0:0", s.Args
	case len(s.Groups) > 0 && r.Isolated: // podman takes the groups from the toolbox's tables
		return strconv.Itoa(p.host.UID), s.Args
	case len(s.Groups) > 0: // podman would keep the host's
		return "0:0", append([]string{r.Box, "exec", "-", s.Identity()}, s.Args...)
	case r.Box == "": // Toolbx's own: the groups are the image's
		return p.host.User, s.Args
	}
	return strconv.Itoa(p.host.UID) + ":" + strconv.Itoa(p.host.GID), s.Args
}
