// Package ostreefamily holds what the updaters of the OSTree family share: plain
// ostree, rpm-ostree and bootc work on the same deployments, so that pinning, the
// comparison of /etc and the entries of the boot loader are the same for all three.
package ostreefamily

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// Unchanged is the exit code of rpm-ostree that says "nothing to do" where
// --unchanged-exit-77 was given.
const Unchanged = 77

// Pin plans to pin or unpin a system. admin is the beginning of the command,
// "ostree admin pin" with its options.
func Pin(s *osupdate.State, r osupdate.Request, p *osupdate.Plan, admin []string) error {
	d, err := s.Find(r.Target)
	if err != nil {
		return err
	}
	p.NeedsBoot = false
	pin := r.Verb == osupdate.Pin
	switch {
	case d.Pinned && pin:
		p.Unchanged = d.Name() + " is pinned already"
		return nil
	case !d.Pinned && !pin:
		p.Unchanged = d.Name() + " is not pinned"
		return nil
	case d.Staged:
		return fail.New(osupdate.ErrUnsupported, "%s is staged and cannot be pinned yet", d.Name()).Hint("reboot first: tbx host reboot")
	}
	argv, effect := slices.Clone(admin), "keep "+d.Name()+" until it is unpinned"
	if !pin {
		argv, effect = append(argv, "-u"), "let "+d.Name()+" go when newer ones come"
	}
	p.Steps = append(p.Steps, osupdate.Step{Argv: append(argv, strconv.Itoa(d.Index)), Effect: effect})
	return nil
}

// Admin is the command `ostree admin VERB` on the running host.
func Admin(t *osupdate.Tools, verb string) ([]string, error) {
	ostree, err := t.Path("ostree")
	if err != nil {
		return nil, err
	}
	return []string{ostree, "admin", verb}, nil
}

// KargsStep is what changes the kernel arguments by rpm-ostree, which is beside
// bootc on many hosts.
func KargsStep(program string, r osupdate.Request) osupdate.Step {
	args := []string{program, "kargs", "--unchanged-exit-77"}
	for _, k := range r.Append {
		args = append(args, "--append-if-missing="+k)
	}
	for _, k := range r.Delete {
		args = append(args, "--delete-if-present="+k)
	}
	return osupdate.Step{Argv: args, Effect: "change the kernel arguments of the next boot", Read: osupdate.Percent("kargs"),
		OK: []int{Unchanged}}
}

// EtcDiff lists what differs from the booted deployment's defaults.
func EtcDiff(ctx context.Context, t *osupdate.Tools) ([]string, error) {
	argv, err := Admin(t, "config-diff")
	if err != nil {
		return nil, err
	}
	out, _, err := t.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	return ParseEtcDiff(string(out)), nil
}

// ParseEtcDiff reads `ostree admin config-diff`: "M    app.conf".
func ParseEtcDiff(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		kind, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && len(kind) == 1 && strings.Contains("MAD", kind) {
			list = append(list, kind+" "+strings.TrimSpace(path))
		}
	}
	slices.Sort(list)
	return list
}
