package osupdate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// Unfinished tells why a staged system could not be written at the last shutdown: the
// machine boots the old one, and seems fine.
type Unfinished struct {
	Problem string `json:"problem"` // a name of a Problem
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Text    string `json:"text"` // the updater's message
}

// finalizeStamp is the file in which ostree leaves the error of a shutdown. At the next
// boot the service ostree-boot-complete shows it in the journal, fails, and removes the
// file.
const finalizeStamp = "boot/ostree/finalize-failure.stamp"

func (h *Host) unfinished() *Unfinished {
	p := probe{h.cfg.Root}
	text := strings.TrimSpace(p.read(finalizeStamp))
	if text == "" || h.det.OriginPath != "" && p.changed(strings.TrimSuffix(h.det.OriginPath, ".origin")).After(p.changed(finalizeStamp)) {
		return nil // without that service the file stays: the running system was written later
	}
	err := h.be.Explain(&ToolError{Argv: []string{"ostree", "admin", "finalize-staged"}, Code: 1, Stderr: text})
	u := &Unfinished{Problem: ProblemOf(err).Name, Message: text, Text: text}
	var e *fail.Error
	if errors.As(err, &e) && ProblemOf(err) != ErrBackend {
		u.Message = e.Msg
		u.Hint = strings.Join(fail.Hints(err), "; ")
	}
	return u
}

// changed returns the time of the last change of name's inode; the zero time if it is
// missing.
func (p probe) changed(name string) time.Time {
	var st unix.Stat_t
	if unix.Lstat(p.path(name), &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix())
}

// finalizer returns the unit that writes a staged system at shutdown, and the one that
// reports a failure at the next boot; empty if there is none.
func (d *Detection) finalizer() (writes, tells string) {
	switch {
	case d.Composefs:
		return "bootc-finalize-staged.service", ""
	case slices.Contains([]Kind{OSTree, RPMOSTree, Bootc, EOS}, d.Kind):
		return "ostree-finalize-staged.service", "ostree-boot-complete.service"
	}
	return "", ""
}

// finalizes is ErrFinalize where a staged system boots next and the unit that writes it at
// the shutdown does not run: the machine would boot the old system. It is started just
// after the staging, by a unit that waits for it.
func (h *Host) finalizes(ctx context.Context, s *State) error {
	const patience, poll = 2 * time.Second, 200 * time.Millisecond
	unit, _ := h.det.finalizer()
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if next := s.Next(); err != nil || unit == "" || next == nil || !next.Staged || h.cfg.Sysroot != "" {
		return nil
	}
	for deadline := time.Now().Add(patience); ; {
		out, _, err := h.cfg.Tools.Run(ctx, Call{Argv: []string{systemctl, "show", "--property=LoadState,ActiveState", unit}})
		text := string(out)
		stopped := strings.Contains(text, "ActiveState=inactive")
		if err != nil || !strings.Contains(text, "LoadState=loaded") || !stopped && !strings.Contains(text, "ActiveState=failed") {
			return nil // systemd does not know that unit, or it runs
		}
		if !stopped || !time.Now().Before(deadline) {
			return fail.New(ErrFinalize, "%s is staged, and %s, which writes it at the shutdown, does not run: a restart would boot the old system",
				s.Label(s.Next()), unit).
				Hint("start it: sudo systemctl start %s; see why it does not run: systemctl status %s", unit, unit).
				Hint("or withdraw what is staged: tbx host cancel")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(poll):
		}
	}
}

// lastBoot is ErrFinalize when the last update was to boot and did not, with all
// that is known of why; whoever had ordered it.
func (h *Host) lastBoot(ctx context.Context, st *Status) error {
	writes, tells := h.det.finalizer()
	again := "a staged system is written at a clean shutdown only; do it again: tbx host upgrade --reboot"
	var e *fail.Error
	switch u := st.Unfinished; {
	case u != nil && st.Unbooted != nil:
		e = fail.New(ErrFinalize, "%s should have booted and did not: %s", st.Unbooted.Intended, u.Message)
	case u != nil:
		e = fail.New(ErrFinalize, "the last shutdown could not finish an update: %s", u.Message)
	case st.Unbooted != nil:
		e = fail.New(ErrFinalize, "%s should have booted and did not", st.Unbooted.Intended)
	case h.det.Booted && tells != "" && h.failedUnit(ctx, tells):
		e = h.toldInJournal(ctx, tells)
	default:
		return nil
	}
	if u := st.Unfinished; u != nil && u.Hint != "" {
		return e.Hint("%s", u.Hint)
	}
	if e.Hint("%s", again); writes != "" {
		e.Hint("if that fails too, see why: journalctl -b -1 -u %s; a full /boot is the usual cause", writes)
	}
	return e
}

// toldInJournal returns the failure that a unit of this boot has written to the journal,
// because it removes the updater's own file.
func (h *Host) toldInJournal(ctx context.Context, unit string) *fail.Error {
	e := fail.New(ErrFinalize, "the last shutdown could not finish an update: %s failed", unit).Hint("see why: journalctl -b -u %s", unit)
	journalctl, err := h.cfg.Tools.Path("journalctl")
	if err != nil {
		return e
	}
	out, _, err := h.cfg.Tools.Run(ctx, Call{Argv: []string{journalctl, "--quiet", "--boot", "--unit=" + unit, "--output=cat", "--lines=50"}})
	text := strings.TrimSpace(string(out))
	if err != nil || text == "" {
		return e
	}
	why := h.be.Explain(&ToolError{Argv: []string{"ostree", "admin", "finalize-staged"}, Code: 1, Stderr: text})
	var told *fail.Error
	if ProblemOf(why) == ErrBackend || !errors.As(why, &told) {
		return e
	}
	e = fail.New(ErrFinalize, "the last shutdown could not finish an update: %s", told.Msg)
	for _, hint := range fail.Hints(why) {
		e.Hint("%s", hint)
	}
	return e
}

// failedUnit asks systemd. Without an answer, no failure is known.
func (h *Host) failedUnit(ctx context.Context, unit string) bool {
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if err != nil {
		return false
	}
	out, _, err := h.cfg.Tools.Run(ctx, Call{Argv: []string{systemctl, "is-failed", unit}})
	return err == nil && strings.TrimSpace(string(out)) == "failed"
}
