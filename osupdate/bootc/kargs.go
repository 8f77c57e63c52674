package bootc

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// kargsSource is whose kernel arguments bootc is told that ours are. bootc keeps
// each source's beside the merged line of an entry of the boot loader, and carries
// them over to the next image.
const kargsSource = "tbx"

// kargs leaves it to rpm-ostree where that is there. bootc itself has a command for
// it since 1.15.2, which replaces all arguments of a source; man page:
// bootc-loader-entries-set-options-for-source(8).
func (b *Backend) kargs(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if d := s.Downloaded(); d != nil {
		return fail.New(osupdate.ErrUnsafe, "%s is downloaded and not applied, and would be lost", s.Label(d)).
			Hint("have it applied first: tbx host upgrade").Hint("or drop it: tbx host cancel")
	}
	if rpm, err := b.tools.Path("rpm-ostree"); err == nil {
		step := ostreefamily.KargsStep(rpm, r)
		step.Idle = func(_, _ string, code int) bool { return code == ostreefamily.Unchanged }
		step.Stop = []string{rpm, "cancel"}
		p.Steps = append(p.Steps, step)
		return nil
	}
	const verb = "set-options-for-source"
	if out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{b.bootc, "loader-entries", "--help"}}); err != nil ||
		!strings.Contains(string(out), verb) {
		return osupdate.Unsupported(osupdate.Bootc, r.Verb,
			"this bootc has no command for it, 1.15.2 and newer have; in an image of your own they are in /usr/lib/bootc/kargs.d: tbx host "+
				"export-containerfile")
	}
	ours, err := b.ownKargs()
	if err != nil {
		return err
	}
	for _, k := range r.Delete {
		if !slices.Contains(ours, k) && slices.Contains(osupdate.RunningKargs(b.opt.System), k) {
			return fail.New(osupdate.ErrUnsupported,
				"kernel argument %s was not added by tbx, and bootc takes away only what it knows the source of", k).
				Hint("where the image brings it, build one without: see /usr/lib/bootc/kargs.d")
		}
	}
	want := r.KargsAfter(ours)
	if slices.Equal(ours, want) {
		p.Unchanged = "the kernel arguments are as asked for already"
		return nil
	}
	argv := []string{b.bootc, "loader-entries", verb, "--source", kargsSource}
	if len(want) > 0 {
		argv = append(argv, "--options", strings.Join(want, " "))
	}
	b.step(p, "stage the next system with the kernel arguments of tbx changed", argv...)
	return nil
}

var (
	stagedSource = pattern.Lazy(`x-options-source-` + kargsSource + `\x00([^\x00]*)\x00`)
	entrySource  = pattern.Lazy(`(?m)^x-options-source-` + kargsSource + `[ \t]+(.*)$`)
	entryVersion = pattern.Lazy(`(?m)^version[ \t]+(\d+)`)
)

// ownKargs are the arguments of our source: of what is staged, else of the boot
// loader's entry that boots next.
func (b *Backend) ownKargs() ([]string, error) {
	staged, err := os.ReadFile(filepath.Join(b.opt.System, "run/ostree/staged-deployment"))
	if m := stagedSource().FindSubmatch(staged); m != nil { // a dictionary of strings, each ended by a zero
		return osupdate.SplitKargs(string(m[1])), nil
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fail.Wrap(osupdate.ErrPermission, err, "what is staged cannot be read").Hint("run it as root")
	}
	files, err := filepath.Glob(filepath.Join(b.opt.System, "boot/loader/entries/ostree-*.conf"))
	if err != nil || len(files) == 0 {
		return nil, fail.New(osupdate.ErrPermission, "the entries of the boot loader cannot be read").
			Hint("see who may read /boot/loader/entries")
	}
	var ours []string
	top := -1
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fail.Wrap(osupdate.ErrPermission, err, "an entry of the boot loader cannot be read").Hint("run it as root")
		}
		v := 0
		if m := entryVersion().FindSubmatch(data); m != nil {
			v, _ = strconv.Atoi(string(m[1])) // digits; one that is too long is the highest
		}
		if v > top {
			top, ours = v, nil
			if m := entrySource().FindSubmatch(data); m != nil {
				ours = osupdate.SplitKargs(string(m[1]))
			}
		}
	}
	return ours, nil
}
