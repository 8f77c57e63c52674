package pkg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// atOnce is the number of toolboxes that are upgraded at the same time: they wait mostly
// for the network and the disk.
const atOnce = 4

type upgradeOptions struct {
	all, security bool
	noSnapshot    bool
	quiet         time.Duration
	format        cli.Format
}

// NewUpgrade returns `tbx upgrade`.
func NewUpgrade(env *fetch.Env) *cobra.Command {
	o := &upgradeOptions{}
	cmd := &cobra.Command{
		Use:   "upgrade [flags] [NAME...]",
		Short: "Upgrade the packages in toolboxes",
		Long: `Upgrade everything in toolboxes, each with its own package manager: apt, dnf,
zypper, pacman, apk or xbps. Without a name, tbx upgrades the toolbox that tbx enter would
enter; several are upgraded side by side. An interrupted earlier upgrade is finished
first. Nothing is asked. Configuration files that you changed stay, and are named. A
toolbox that does not run is started, and stopped again afterwards.

--security upgrades only packages that the distribution marks as security upgrades, where
it has such marks: Debian, Ubuntu, Fedora, Red Hat and SUSE do.

Before packages change, tbx keeps the contents of the toolbox as a snapshot (tbx snapshot
list); --no-snapshot leaves that out. If the package manager leaves the toolbox broken, it
is rolled back to that snapshot.

After Ctrl-C, a package manager may finish what it must not leave half done, for up to two
minutes. tbx tells if the release gets no updates any more. For the host: tbx host upgrade.`,
		Example: "  tbx upgrade\n  tbx upgrade --all\n  tbx upgrade --security build",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.all && len(args) > 0 {
				return fail.New(fail.Usage, "--all goes without names")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return upgrade(cmd.Context(), env, o, args) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "all toolboxes")
	cmd.Flags().BoolVar(&o.security, "security", false, "only security upgrades")
	cmd.Flags().BoolVar(&o.noSnapshot, "no-snapshot", false, "keep no snapshot of the contents before")
	ofToolboxes(env, cmd, &o.quiet, &o.format)
	return cmd
}

// upgraded is the result for one toolbox; docs/schema/upgrade.json.
type upgraded struct {
	Name     string            `json:"name"`
	Manager  string            `json:"manager,omitempty"`
	State    string            `json:"state"` // upgraded, current, failed or skipped
	Packages []packages.Update `json:"packages"`
	Kept     []string          `json:"kept_files"`
	Release  *packages.Release `json:"release,omitempty"`
	Snapshot string            `json:"snapshot,omitempty"`
	Back     bool              `json:"rolled_back,omitempty"`
	Error    string            `json:"error,omitempty"`

	err error
}

func upgrade(ctx context.Context, env *fetch.Env, o *upgradeOptions, names []string) error {
	if err := cli.CheckTimeout(o.quiet); err != nil {
		return err
	}
	boxes, err := chosen(ctx, env, o.all, names)
	if err != nil {
		return err
	}
	if len(boxes) == 0 {
		env.Progress().Line("tbx: there is no toolbox to upgrade")
	}
	board := newBoard(env, "upgrading "+cli.Plural(len(boxes), "toolbox"), boxes)
	rows := make([]upgraded, len(boxes))
	sideBySide(len(boxes), func(i int) {
		rows[i] = upgradeOne(ctx, env, o, boxes[i], board.of(i))
		board.done(i, rows[i].summary())
	})
	board.close()
	var failed []error
	for i := range rows {
		failed = append(failed, rows[i].err)
		rows[i].tell(env)
	}
	err = env.Print(o.format, rows, func() error {
		for _, r := range rows {
			if r.err == nil {
				fmt.Fprintf(env.Out, "%s: %s\n", r.Name, r.summary())
			}
		}
		return nil
	})
	return errors.Join(errors.Join(failed...), err)
}

// sideBySide calls do for each number below n, several at a time.
func sideBySide(n int, do func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			do(i)
		}()
	}
	all.Wait()
}

// chosen returns the named toolboxes, or all that are not ephemeral, or the default one.
func chosen(ctx context.Context, env *fetch.Env, all bool, names []string) ([]*toolbox.Box, error) {
	m, err := env.Manager()
	if err != nil {
		return nil, err
	}
	if all {
		boxes, err := m.List(ctx)
		var stay []*toolbox.Box
		for _, b := range boxes {
			if !b.Ephemeral() {
				stay = append(stay, b)
			}
		}
		return stay, err
	}
	if len(names) == 0 {
		names = []string{""}
	}
	var boxes []*toolbox.Box
	seen := map[toolbox.Name]bool{}
	for _, n := range names {
		b, err := one(ctx, env, n)
		if err != nil {
			return nil, err // before anything was done
		}
		if !seen[b.Name] {
			seen[b.Name] = true
			boxes = append(boxes, b)
		}
	}
	return boxes, nil
}

// upgradeOne upgrades one toolbox.
func upgradeOne(ctx context.Context, env *fetch.Env, o *upgradeOptions, b *toolbox.Box, said func(string)) upgraded {
	r := upgraded{Name: string(b.Name), State: "failed", Packages: []packages.Update{}, Kept: []string{}}
	said("looking for its package manager")
	t, err := open(ctx, env, b, o.quiet, said)
	if errors.Is(err, fail.Unable) && o.all {
		r.State, r.Error = "skipped", err.Error()
		return r
	}
	if err != nil {
		return r.failed(err)
	}
	release := packages.ReleaseOf(t.OS, time.Now())
	r.Manager, r.Release = t.Name, &release
	if !o.noSnapshot && b.Managed() && !b.Ephemeral() {
		t.keepFirst(&r.Snapshot, said)
	}
	u, err := t.UpgradeAll(ctx, o.security)
	if u != nil {
		r.Packages, r.Kept = append(r.Packages, u.Updates...), append(r.Kept, u.Kept...)
	}
	r.Back, err = t.takeBack(ctx, r.Snapshot, err)
	if err := errors.Join(in(b.Name, err), t.rest(ctx)); err != nil {
		return r.failed(err)
	}
	r.State = "upgraded"
	if len(r.Packages) == 0 {
		r.State = "current"
	}
	return r
}

func (r upgraded) failed(err error) upgraded {
	r.err, r.Error, r.State = err, err.Error(), "failed"
	return r
}

// summary returns r in a few words.
func (r upgraded) summary() string {
	switch r.State {
	case "failed":
		return "failed"
	case "skipped":
		return "it has no package manager that tbx knows"
	case "current":
		return "up to date (" + r.Manager + ")"
	}
	security := 0
	for _, p := range r.Packages {
		if p.Security {
			security++
		}
	}
	text := "upgraded " + cli.Plural(len(r.Packages), "package")
	if security > 0 {
		text += fmt.Sprintf(", %d for security", security)
	}
	return text + " (" + r.Manager + ")"
}

// tell prints warnings about the result.
func (r upgraded) tell(env *fetch.Env) {
	if len(r.Kept) > 0 {
		const kept = "toolbox %s: configuration files that were changed here and in their package were left as they are: %s"
		env.Progress().Warn(fmt.Sprintf(kept, r.Name, strings.Join(r.Kept, ", ")),
			"the package's own is beside each, with an ending such as .dpkg-dist, .rpmnew or .pacnew")
	}
	warnOfRelease(env, r.Name, r.Release)
}

func warnOfRelease(env *fetch.Env, name string, r *packages.Release) {
	if r != nil && r.Over {
		env.Progress().Warn(fmt.Sprintf("toolbox %s: %s has had no security updates since %s", name, r.Name, r.Ends),
			"move it to a newer release: tbx rebase --release RELEASE "+name)
	}
}
