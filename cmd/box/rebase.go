package box

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

type rebaseOptions struct {
	image, distro, release string
	fetch.Flags
	also          []string
	force, dryRun bool
	quiet         time.Duration
	format        cli.Format
}

// NewRebase returns `tbx rebase`.
func NewRebase(env *fetch.Env) *cobra.Command {
	o := &rebaseOptions{}
	cmd := &cobra.Command{
		Use:         "rebase [flags] NAME",
		Annotations: cli.Quietly(),
		Short:       "Move a toolbox to another release of its distribution",
		Long: `Move a toolbox to another release of its distribution, or to another image. tbx makes a
toolbox from the new image, and brings along what you added to the old one: packages that
you installed, packages from no repository, held packages, repositories for the new
release, users and groups, settings in /etc, crontabs and enabled units, and the contents
of /opt, /srv and /usr/local. The new toolbox keeps the settings, and takes the old one's
name and place.

A file of /etc that you did not change comes from the new release. One that only you
changed is yours. If both changed it, the new release's is used, and yours is beside it,
with the ending .tbx-old.

tbx shows the plan and asks before it begins. At the end it lists what could not come
along, also in a file that it names. The old contents stay as a snapshot:

  tbx snapshot rollback NAME before-rebase

The toolbox cannot be entered meanwhile. If something runs in it, tbx does nothing unless
you give --force. A rebase that fails, or is interrupted, leaves the toolbox as it was.`,
		Example: `  tbx rebase --dry-run --release 13 build
  tbx rebase --release 13 build
  tbx rebase --image registry.example.org/dev:2 build`,
		RunE: func(cmd *cobra.Command, args []string) error { return runRebase(cmd.Context(), env, o, args[0]) },
	}
	ofToolbox(env.Env, cmd)
	f := cmd.Flags()
	f.StringVarP(&o.release, "release", "r", "", "`RELEASE` of the distribution")
	f.StringVarP(&o.image, "image", "i", "", "make it from this `IMAGE`")
	f.StringVarP(&o.distro, "distro", "d", "", "`DISTRIBUTION`, if its image does not say so")
	f.StringArrayVar(&o.also, "also", nil, "bring along this `DIRECTORY` of the toolbox too; may be repeated")
	f.BoolVar(&o.force, "force", false, "end what runs in it")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would come along, and do nothing")
	cli.TimeoutFlag(cmd, &o.quiet)
	o.Flags.Add(cmd, images.PullMissing)
	cli.FormatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("image", env.CompleteImages)
	cmd.RegisterFlagCompletionFunc("distro", env.CompleteDistros)
	cmd.RegisterFlagCompletionFunc("release", env.CompleteReleases)
	cmd.RegisterFlagCompletionFunc("also", cli.Directories)
	return cmd
}

func runRebase(ctx context.Context, env *fetch.Env, o *rebaseOptions, arg string) error {
	name, err := toolbox.ParseName(arg)
	if err != nil {
		return err
	}
	if err := cli.CheckTimeout(o.quiet); err != nil {
		return err
	}
	for _, dir := range o.also {
		if !path.IsAbs(dir) || path.Clean(dir) == "/" {
			return fail.New(fail.Usage, "--also %q must be the absolute path of a directory in the toolbox", dir).
				Hint("such as: --also /var/lib/postgresql")
		}
	}
	question := fmt.Sprintf("Rebase toolbox %s?", name)
	if !o.dryRun && !env.Yes && !cli.IsTerminal(env.In) {
		return env.Ask(question) // it fails at once where nobody can answer, and not after the preparation
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	r := provision.RebaseRequest{
		Name: name, Image: images.Request{Distro: o.distro, Release: o.release, Image: o.image}, Fetch: o.Fetch,
		Also: o.also, Force: o.force, Dry: o.dryRun, Quiet: o.quiet, Said: said(env),
	}
	if !env.Yes {
		r.Agree = func(report *provision.RebaseReport) error {
			env.Progress().Close()
			if err := report.Write(env.Err, false); err != nil {
				return err
			}
			return env.Ask(question)
		}
	}
	report, err := p.Rebase(ctx, r)
	if err != nil {
		return err
	}
	env.Progress().Close()
	return env.Print(o.format, report, func() error { return printRebase(env, o, report) })
}

// said shows the present step, and below it the output of the package manager.
func said(env *fetch.Env) func(what, line string) {
	now := ""
	return func(what, line string) {
		if what != "" {
			now = what
			env.Progress().Stage(what)
			return
		}
		env.Progress().Update(now, "  "+cli.Shorten(line))
	}
}

func printRebase(env *fetch.Env, o *rebaseOptions, r *provision.RebaseReport) error {
	if err := r.Write(env.Out, o.dryRun); err != nil || o.dryRun {
		return err
	}
	fmt.Fprintf(env.Out, "Rebased toolbox: %s\nGo back with: tbx snapshot rollback %s %s\n", r.Name, r.Name, r.Snapshot)
	if r.File != "" {
		fmt.Fprintf(env.Out, "This report is kept in %s\n", r.File)
	}
	return nil
}
