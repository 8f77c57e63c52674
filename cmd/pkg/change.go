package pkg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
)

type changeOptions struct {
	toolbox string
	quiet   time.Duration
}

// NewInstall returns `tbx install`.
func NewInstall(env *fetch.Env) *cobra.Command {
	o := &changeOptions{}
	cmd := &cobra.Command{
		Use:         "install [flags] PACKAGE...",
		Annotations: cli.Quietly(),
		Short:       "Install packages in a toolbox",
		Long: `Install packages in a toolbox with its own package manager: apt, dnf, zypper,
pacman, apk or xbps. Nothing is asked, and nothing is removed: where a package cannot be
without the removal of another, it is not installed. Configuration files that you changed
stay.`,
		Example: "  tbx install ripgrep\n  tbx install --toolbox build gcc make",
		Args:    wantsPackages,
		RunE: func(cmd *cobra.Command, args []string) error {
			return change(cmd.Context(), env, o, args, install)
		},
		ValidArgsFunction: completeAvailable(env, o),
	}
	toolboxFlag(env, cmd, &o.toolbox)
	timeoutFlag(cmd, &o.quiet)
	return cmd
}

// NewRemove returns `tbx remove`.
func NewRemove(env *fetch.Env) *cobra.Command {
	o := &changeOptions{}
	cmd := &cobra.Command{
		Use:         "remove [flags] PACKAGE...",
		Annotations: cli.Quietly(),
		Short:       "Remove packages from a toolbox",
		Long: `Remove packages from a toolbox with its own package manager, and what cannot be
without them. It shows what that is, and asks. To remove a toolbox: tbx rm.`,
		Example: "  tbx remove ripgrep\n  tbx remove --toolbox build gcc",
		Args:    wantsPackages,
		RunE: func(cmd *cobra.Command, args []string) error {
			return change(cmd.Context(), env, o, args, remove)
		},
		ValidArgsFunction: completeAsked(env, o),
	}
	toolboxFlag(env, cmd, &o.toolbox)
	timeoutFlag(cmd, &o.quiet)
	return cmd
}

func wantsPackages(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fail.New(fail.Usage, "%s wants the name of a package", cmd.CommandPath()).Hint("find one with: tbx search WORD")
	}
	return packages.CheckNames(args)
}

// verb is what is done to packages.
type verb struct {
	doing, done string
	do          func(ctx context.Context, t *target, names []string) error
}

var (
	install = verb{"installing", "Installed", func(ctx context.Context, t *target, names []string) error { return t.Add(ctx, names) }}
	remove  = verb{"removing", "Removed", askAndDrop}
)

// change opens the toolbox, does something to its packages, and says that it did.
func change(ctx context.Context, env *fetch.Env, o *changeOptions, names []string, v verb) error {
	if err := checkTimeout(o.quiet); err != nil {
		return err
	}
	b, err := one(ctx, env, o.toolbox)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s in toolbox %s", v.doing, strings.Join(names, ", "), b.Name)
	env.Progress().Stage(what)
	t, err := open(ctx, env, b, o.quiet, line(env, what))
	if err != nil {
		return err
	}
	err = in(b.Name, v.do(ctx, t, names))
	err = errors.Join(err, t.rest(ctx))
	env.Progress().Close()
	if err == nil && !env.Quiet {
		fmt.Fprintf(env.Err, "%s in toolbox %s: %s\n", v.done, b.Name, strings.Join(names, " "))
	}
	return err
}

// askAndDrop shows what a removal would do, asks, and does it.
func askAndDrop(ctx context.Context, t *target, names []string) error {
	would, err := t.WouldDrop(ctx, names)
	if err != nil {
		return err
	}
	if !t.env.Yes {
		t.env.Progress().Close()
		for _, l := range strings.Split(strings.TrimSpace(would), "\n") {
			fmt.Fprintln(t.env.Err, escape.Text(l))
		}
	}
	if err := t.env.Ask(fmt.Sprintf("Remove %s from toolbox %s?", strings.Join(names, ", "), t.name)); err != nil {
		return err
	}
	return t.Drop(ctx, names)
}
