package pkg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
)

// NewInstall returns `tbx install`.
func NewInstall(env *fetch.Env) *cobra.Command {
	return newChange(env, install, completeAvailable, &cobra.Command{
		Use:   "install [flags] PACKAGE...",
		Short: "Install packages in a toolbox",
		Long: `Install packages in a toolbox with its own package manager: apt, dnf, zypper,
pacman, apk or xbps. The package manager asks nothing and removes nothing: a package that
needs the removal of another is not installed. Configuration files that you changed stay.`,
		Example: "  tbx install ripgrep\n  tbx install --toolbox build gcc make",
	})
}

// NewRemove returns `tbx remove`.
func NewRemove(env *fetch.Env) *cobra.Command {
	return newChange(env, remove, completeAsked, &cobra.Command{
		Use:   "remove [flags] PACKAGE...",
		Short: "Remove packages from a toolbox",
		Long: `Remove packages from a toolbox with its own package manager, and the packages that need
them. tbx shows all of them, and asks. To remove a toolbox: tbx rm.`,
		Example: "  tbx remove ripgrep\n  tbx remove --toolbox build gcc",
	})
}

// newChange completes a command that changes packages.
func newChange(env *fetch.Env, v verb, complete func(*fetch.Env, *where) cobra.CompletionFunc, cmd *cobra.Command) *cobra.Command {
	w := &where{}
	cmd.Annotations = cli.Quietly()
	cmd.Args = wantsPackages
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return change(cmd.Context(), env, w, args, v) }
	cmd.ValidArgsFunction = complete(env, w)
	w.flags(env, cmd)
	return cmd
}

func wantsPackages(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fail.New(fail.Usage, "%s needs the name of a package", cmd.CommandPath()).Hint("find one with: tbx search WORD")
	}
	return packages.CheckNames(args)
}

// verb is an operation on packages.
type verb struct {
	doing, done string
	do          func(ctx context.Context, t *target, names []string) error
}

var (
	install = verb{"installing", "Installed", func(ctx context.Context, t *target, names []string) error { return t.Add(ctx, names) }}
	remove  = verb{"removing", "Removed", askAndDrop}
)

// change opens the toolbox, carries out v on its packages, and reports it.
func change(ctx context.Context, env *fetch.Env, w *where, names []string, v verb) error {
	b, err := w.box(ctx, env)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s in toolbox %s", v.doing, strings.Join(names, ", "), b.Name)
	env.Progress().Stage(what)
	t, err := open(ctx, env, b, w.quiet, line(env, what))
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

// askAndDrop shows the effect of a removal, asks, and removes.
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
