package osupdate

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// Blessed returns the running system's state in boot counting: "indeterminate" before it
// has proved itself, "good", "bad", "clean" without counting, or nothing without
// systemd-bless-boot(8).
func Blessed(ctx context.Context, t *Tools) string {
	bless, err := t.Path("systemd-bless-boot")
	if err != nil {
		return ""
	}
	out, _, err := t.Run(ctx, Call{Argv: []string{bless, "status"}})
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// KeepsProven refuses a verb that would overwrite or delete the last system that has
// proven itself, before the running one has: on hosts with two systems the other one
// is the only way back.
func KeepsProven(s *State, verb Verb, loses string) error {
	if s.Boot.State != BootUnblessed {
		return nil
	}
	return fail.New(ErrUnsafe,
		"%s: the running system is not yet marked as good, and %s, the last one that is, would be lost", verb, loses).
		Hint("it is marked when boot-complete.target is reached; see what keeps it: systemctl status boot-complete.target").
		Hint("if you know that it is good: sudo systemd-bless-boot good")
}

// BootTime returns when the kernel of the system below root started, from btime of
// proc_stat(5); the zero time if unknown.
func BootTime(root string) time.Time {
	for line := range strings.Lines(probe{root}.read("proc/stat")) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			if sec, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
				return time.UnixMicro(int64(sec * 1e6))
			}
		}
	}
	return time.Time{}
}
