package osupdate

import (
	"context"
	"errors"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// rebootPlan asks logind, which asks polkit and honours inhibitors, systemctl(1).
func (h *Host) rebootPlan(ctx context.Context, s *State, r Request) (*Plan, error) {
	if h.cfg.Sysroot != "" {
		return nil, fail.New(ErrUnsupported, "%s is not the running system: there is nothing to reboot", h.cfg.Sysroot).
			Hint("leave --sysroot out to restart this machine")
	}
	if err := h.mergeable("reboot: ", s); err != nil { // it was changed after it was staged
		return nil, err
	}
	if err := h.finalizes(ctx, s); err != nil {
		return nil, err
	}
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if err != nil {
		return nil, err
	}
	if r.Soft {
		return h.softReboot(ctx, s, systemctl)
	}
	argv, again := []string{systemctl, "reboot", "--check-inhibitors=yes"}, h.ownSessions(systemctl, "reboot")
	var inhibited func(context.Context) (bool, error)
	if r.DespiteUsers {
		if argv, err = h.despiteUsers(); err != nil {
			return nil, err
		}
		inhibited, again = h.uninhibited, nil
	}
	p := &Plan{
		Steps: []Step{{
			Argv: argv, Effect: "restart the machine, unless a program inhibits it",
			Explain: h.explainSystemctl, Skip: inhibited, Again: again,
		}},
		Effects: []string{"the machine restarts; everything that runs on it ends"}, NeedsRoot: r.DespiteUsers,
	}
	if next := s.Next(); next != nil {
		p.Effects = append(p.Effects, "then "+s.Label(next)+" boots")
	}
	if d := s.Downloaded(); d != nil {
		p.Warnings = append(p.Warnings, s.Label(d)+", which is downloaded and not applied, is lost")
	}
	return p, nil
}

// despiteUsers is the call of logind that sessions do not keep from the restart: systemctl
// refuses for them too, also where all are long idle. The flag has inhibitors of others
// than root count, SD_LOGIND_ROOT_CHECK_INHIBITORS of org.freedesktop.login1(5).
func (h *Host) despiteUsers() ([]string, error) {
	busctl, err := h.cfg.Tools.Path("busctl")
	if err != nil {
		return nil, err
	}
	const name, path = "org.freedesktop.login1", "/org/freedesktop/login1"
	return []string{busctl, "call", name, path, name + ".Manager", "RebootWithFlags", "t", "1"}, nil
}

// uninhibited is ErrInhibited where any program inhibits the restart, root's own too, as
// systemctl looks at them; asked just before.
func (h *Host) uninhibited(context.Context) (bool, error) {
	if who := h.inhibitors(); who != "" {
		return false, fail.New(ErrInhibited, "the machine was not restarted: it is inhibited by %s", who).
			Hint("end that program, or restart anyway: systemctl reboot -i")
	}
	return false, nil
}

// SoftRebooter is a Backend that can prepare a reboot of the user space only, into the
// system that boots next.
type SoftRebooter interface {
	// SoftReboot returns the step; ErrUnsupported if the next system does not allow it or
	// the updater cannot do it.
	SoftReboot(ctx context.Context, s *State) (*Step, error)
}

// softReboot starts the next system's user space under the running kernel,
// systemd-soft-reboot.service(8).
func (h *Host) softReboot(ctx context.Context, s *State, systemctl string) (*Plan, error) {
	p := &Plan{NeedsRoot: true}
	next := s.Next()
	switch b, ok := h.be.(SoftRebooter); {
	case next == nil || next.Booted:
		return nil, fail.New(ErrUnsupported, "nothing waits for the next boot: there is no system to go to").
			Hint("restart the machine: tbx host reboot")
	case otherKargs(s.Booted(), next):
		return nil, fail.New(ErrUnsupported, "%s has other kernel arguments than the running system, and a soft reboot keeps the kernel",
			s.Label(next)).Hint("restart the machine: tbx host reboot")
	case s.Boot.State == BootSoft: // prepared already
	case !ok:
		return nil, fail.New(ErrUnsupported, "%s cannot prepare a soft reboot", h.be.Kind()).Hint("restart the machine: tbx host reboot")
	default:
		step, err := b.SoftReboot(ctx, s)
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, *step)
	}
	p.Steps = append(p.Steps, Step{
		Argv:    []string{systemctl, "soft-reboot", "--check-inhibitors=yes"},
		Effect:  "start the services of " + s.Label(next) + " under the running kernel",
		Explain: h.explainSystemctl, Again: h.ownSessions(systemctl, "soft-reboot"),
	})
	p.Effects = []string{"the user space ends, and that of " + s.Label(next) + " begins under the running kernel"}
	return p, nil
}

// ownSessions is for root's tbx, that restarts the machine on a user's behalf: systemctl
// refuses for sessions of others than root, and those of the user who asks are none. Where
// it names these alone, it is told to go on. Its words are those of systemd 252 to 262.
func (h *Host) ownSessions(systemctl, verb string) func(*ToolError) []string {
	return func(te *ToolError) []string {
		me, err := user.LookupId(strconv.Itoa(h.cfg.User))
		if err != nil || !h.cfg.Superuser || h.cfg.User == 0 {
			return nil
		}
		own := false
		for line := range strings.Lines(te.Stderr) {
			switch line = strings.TrimSpace(line); {
			case strings.HasPrefix(line, "User "+me.Username+" is logged in on "):
				own = true
			case line == "", strings.HasPrefix(line, "Please retry operation"), strings.HasPrefix(line, "'systemd-inhibit'"),
				strings.HasPrefix(line, "Alternatively, ignore"):
			default:
				return nil
			}
		}
		if !own {
			return nil
		}
		h.trace("only sessions of %s, who asks for it, are open", me.Username)
		return []string{systemctl, verb, "--check-inhibitors=no"}
	}
}

// otherKargs says whether two systems are known to have other kernel arguments, in
// whatever order.
func otherKargs(a, b *Deployment) bool {
	if a == nil || a.Kargs == nil || b.Kargs == nil {
		return false
	}
	return !slices.Equal(slices.Sorted(slices.Values(a.Kargs)), slices.Sorted(slices.Values(b.Kargs)))
}

// explainSystemctl: what systemctl refuses is not the updater's fault. Its words are
// those of systemd 252 to 257.
func (h *Host) explainSystemctl(te *ToolError) error {
	err := explainTool("systemctl", []Rule{
		NewRule(`Operation inhibited by (.*?)\.?(?:\n|$)`, ErrInhibited, "the machine was not restarted: it is inhibited by %s",
			"end that program, or restart anyway: systemctl reboot -i"),
		NewRule(`User (\S+ is logged in on \S+?)\.?(?:\n|$)`, ErrInhibited, "the machine was not restarted: %s",
			"end that session, or restart anyway: systemctl reboot -i"),
		NewRule(`(?i)active block inhibitor|closing inhibitors|ignore inhibitors|check-inhibitors`, ErrInhibited,
			"the machine was not restarted: a program inhibits it",
			"see which: systemd-inhibit --list; restart anyway: systemctl reboot -i"),
		NewRule(`(?i)interactive authentication required|access denied`, ErrPermission, "this session may not restart the machine",
			"run it with sudo, or in a session of its own on this machine"),
		NewRule(`(?i)connection refused|Failed to connect to bus|not been booted with systemd`, ErrUnsupported, "systemd does not answer",
			"restart the machine by hand"),
	}, te)
	var e *fail.Error
	if errors.As(err, &e) && errors.Is(e.Kind, ErrInhibited) && e.Msg == "systemctl: the machine was not restarted: a program inhibits it" {
		if who := h.inhibitors(); who != "" {
			e.Msg += ": " + who
		}
	}
	return err
}

// inhibitors returns the names of the programs that inhibit a shutdown.
func (h *Host) inhibitors() string {
	list, err := h.cfg.Tools.Path("systemd-inhibit")
	if err != nil {
		return ""
	}
	out, _, err := h.cfg.Tools.Run(context.Background(), Call{Argv: []string{list, "--list", "--no-legend", "--no-pager"}})
	if err != nil {
		return ""
	}
	var who []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 5 && strings.Contains(line, "shutdown") && strings.HasSuffix(strings.TrimSpace(line), "block") {
			who = append(who, f[0])
		}
	}
	return strings.Join(who, ", ")
}
