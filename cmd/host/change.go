package host

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// changeOptions are the flags of every command that changes the host.
type changeOptions struct {
	dryRun bool
	reboot bool
	check  bool
}

// hostChangers are the commands that change the host.
func hostChangers(env *cli.Env, o *hostOptions) []*cobra.Command {
	none := cli.Exactly(0, "no arguments")
	some := func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fail.New(fail.Usage, "%s wants the names of packages", cmd.CommandPath()).Hint("usage: %s", cmd.UseLine())
		}
		return nil
	}
	atMost1 := func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fail.New(fail.Usage, "%s takes one system, not %d", cmd.CommandPath(), len(args)).Hint("usage: %s", cmd.UseLine())
		}
		return nil
	}
	one := func(what string) cobra.PositionalArgs { return cli.Exactly(1, what) }
	target := func(verb osupdate.Verb) func([]string) osupdate.Request {
		return func(args []string) osupdate.Request {
			return osupdate.Request{Verb: verb, Target: strings.Join(args, "")}
		}
	}
	plain := func(verb osupdate.Verb) func([]string) osupdate.Request {
		return func([]string) osupdate.Request { return osupdate.Request{Verb: verb} }
	}

	var up osupdate.Request
	upgrade := changer(env, o, "upgrade [flags]", "Bring the host to the newest of what it follows", "Fetch the newest of what the host follows and boot it next. The running system stays\nas it is until the reboot, and remains as the way back.",
		"  tbx host upgrade\n  tbx host upgrade --to 43.1 --allow-downgrade\n  tbx host upgrade --check || echo nothing new", none, cobra.NoFileCompletions,
		func([]string) osupdate.Request { up.Verb = osupdate.Upgrade; return up })
	upgrade.Flags().StringVar(&up.Target, "to", "", "this `VERSION` or digest instead of the newest")
	upgrade.RegisterFlagCompletionFunc("to", cobra.NoFileCompletions)
	upgrade.Flags().BoolVar(&up.AllowDowngrade, "allow-downgrade", false, "also when it is older than the running system")
	upgrade.Flags().BoolVar(&up.DownloadOnly, "download-only", false, "fetch it; what boots next stays")

	var clean []*bool
	cleanup := changer(env, o, "cleanup [flags]", "Delete what the host does not need", "Delete what the host does not need. The system that boots next is never left alone\nbefore it has run.", "  tbx host cleanup\n  tbx host cleanup --pending", none, cobra.NoFileCompletions,
		func([]string) osupdate.Request {
			r := osupdate.Request{Verb: osupdate.Cleanup}
			for i, part := range []string{"pending", "rollback", "base", "cache"} {
				if *clean[i] {
					r.Parts = append(r.Parts, part)
				}
			}
			return r
		})
	for _, part := range [][2]string{{"pending", "what waits for the next boot"}, {"rollback", "the way back"}, {"base", "temporary data"}, {"cache", "repository metadata"}} {
		clean = append(clean, cleanup.Flags().Bool(part[0], false, "delete "+part[1]))
	}

	return []*cobra.Command{
		upgrade,
		changer(env, o, "rollback [flags] [SYSTEM]", "Boot an older system next", "Boot the previous system next, or the one named by index, version or id. Twice is\nonce: it is no toggle.", "  tbx host rollback\n  tbx host rollback 2", atMost1, deployments(env, o), target(osupdate.Rollback)),
		changer(env, o, "pin [flags] SYSTEM", "Keep a system", "Keep a system until it is unpinned.", "  tbx host pin booted", one("one system"), deployments(env, o), target(osupdate.Pin)),
		changer(env, o, "unpin [flags] SYSTEM", "No longer keep a system", "Let a system go when newer ones come.", "  tbx host unpin 2", one("one system"), deployments(env, o), target(osupdate.Unpin)),
		changer(env, o, "switch [flags] REF|IMAGE", "Follow another ref or image", "Follow another ref or image from now on: fetch it and boot it next. Nothing else\nchanges what the host follows.", "  tbx host switch quay.io/fedora/fedora-bootc:44", one("one ref or image"), cobra.NoFileCompletions, target(osupdate.Switch)),
		hostInstall(env, o, some),
		changer(env, o, "uninstall [flags] PACKAGE...", "Remove layered packages", "Remove packages that were layered on the host's system.", "  tbx host uninstall zsh", some, cobra.NoFileCompletions,
			func(args []string) osupdate.Request {
				return osupdate.Request{Verb: osupdate.Uninstall, Packages: args}
			}),
		hostOverride(env, o, some),
		hostKargs(env, o, none),
		hostInitramfs(env, o),
		changer(env, o, "cancel [flags]", "Withdraw what waits for the next boot", "Stop a running transaction, where the updater can, or withdraw what waits for the\nnext boot.", "  tbx host cancel", none, cobra.NoFileCompletions, plain(osupdate.Cancel)),
		cleanup,
		changer(env, o, "apply-live [flags]", "Bring added packages into the running system", "Bring what the next system adds into the running one, without a reboot.", "  tbx host apply-live", none, cobra.NoFileCompletions, plain(osupdate.ApplyLive)),
		changer(env, o, "overlay [flags]", "Make /usr writable until the next boot", "Lay a writable layer over the running system's /usr. What is changed there is gone\nafter the next boot.", "  tbx host overlay", none, cobra.NoFileCompletions, plain(osupdate.Overlay)),
		changer(env, o, "reboot [flags]", "Restart the machine", "Restart the machine, unless a program inhibits it.", "  tbx host reboot", none, cobra.NoFileCompletions, plain(osupdate.Reboot)),
		hostBuild(env, o),
	}
}

func changer(env *cli.Env, o *hostOptions, use, short, long, example string, args cobra.PositionalArgs, complete cobra.CompletionFunc, request func([]string) osupdate.Request) *cobra.Command {
	c := &changeOptions{}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: args, ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error { return runChange(cmd, env, o, c, request(args)) },
	}
	changeFlags(cmd, o, c)
	return cmd
}

func changeFlags(cmd *cobra.Command, o *hostOptions, c *changeOptions) {
	f := cmd.Flags()
	f.BoolVar(&c.dryRun, "dry-run", false, "print the plan, and change nothing")
	f.BoolVar(&c.reboot, "reboot", false, "restart the machine afterwards, when that is needed")
	f.BoolVar(&c.check, "check", false, "end with code 77 when there was nothing to do")
	cli.FormatFlag(cmd, &o.format)
}

func runChange(cmd *cobra.Command, env *cli.Env, o *hostOptions, c *changeOptions, r osupdate.Request) error {
	if err := cli.CheckFormat(o.format); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	res, err := h.Do(cmd.Context(), r, c.dryRun)
	if err != nil {
		return err
	}
	return finishChange(cmd, env, o, c, h, res)
}

// finishChange prints a result and restarts the machine where that was asked for.
func finishChange(cmd *cobra.Command, env *cli.Env, o *hostOptions, c *changeOptions, h *osupdate.Host, res *osupdate.Result) error {
	env.Progress().Close()
	if o.format == "json" {
		if err := cli.PrintJSON(env.Out, res); err != nil {
			return err
		}
	} else {
		printResult(env, res)
	}
	for _, w := range res.Warnings {
		env.Progress().Warn(w, "")
	}
	if c.reboot && !c.dryRun && res.Reboot != "" {
		if _, err := h.Do(cmd.Context(), osupdate.Request{Verb: osupdate.Reboot}, false); err != nil {
			return err
		}
	}
	if c.check && res.Unchanged != "" {
		return cli.Exit(cli.ExitUnchanged)
	}
	return nil
}

func printResult(env *cli.Env, res *osupdate.Result) {
	switch {
	case res.Unchanged != "":
		fmt.Fprintf(env.Out, "Unchanged: %s\n", escape.Text(res.Unchanged))
	case res.DryRun:
		p := res.Plan
		for i, s := range p.Steps {
			fmt.Fprintf(env.Out, "%d. %s\n   %s\n", i+1, escape.Text(s.Effect), escape.Text(cli.Quoted(s.Argv)))
		}
		for _, f := range []struct {
			is  bool
			yes string
			no  string
		}{{p.NeedsRoot, "Needs root", "Needs no root"}, {p.NeedsBoot, "Needs a reboot to take effect", "Takes effect at once"}, {p.Reversible, "Can be undone", "Cannot be undone"}} {
			if f.is {
				fmt.Fprintln(env.Out, f.yes)
			} else {
				fmt.Fprintln(env.Out, f.no)
			}
		}
	case res.Plan.Request.Verb == osupdate.Reboot:
	case res.Before != nil && res.After != nil && !res.Before.Same(res.After):
		fmt.Fprintf(env.Out, "%s boots next, after %s\n", escape.Text(res.After.Name()), escape.Text(res.Before.Name()))
	default:
		fmt.Fprintf(env.Out, "Done: %s\n", escape.Text(strings.Join(res.Plan.Effects, "; ")))
	}
	if res.Reboot != "" && !res.DryRun {
		fmt.Fprintf(env.Err, "Restart when it suits you: tbx host reboot\n")
	}
}

func hostOverride(env *cli.Env, o *hostOptions, some cobra.PositionalArgs) *cobra.Command {
	cmd := &cobra.Command{
		Use: "override", Short: "Replace or remove packages of the host's system", Long: "Replace or remove packages of the host's system itself, and undo that.", Example: "  tbx host override reset", Args: cli.UnknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	var from string
	replace := changer(env, o, "replace [flags] PACKAGE...", "Replace packages of the base", "Replace packages of the base by those of a repository.", "  tbx host override replace --from updates-testing kernel", some, cobra.NoFileCompletions,
		func(args []string) osupdate.Request {
			return osupdate.Request{Verb: osupdate.OverrideReplace, Packages: args, From: from}
		})
	replace.Flags().StringVar(&from, "from", "", "the `REPOSITORY` to take them from")
	replace.RegisterFlagCompletionFunc("from", cobra.NoFileCompletions)
	any := func(*cobra.Command, []string) error { return nil }
	cmd.AddCommand(replace,
		changer(env, o, "remove [flags] PACKAGE...", "Remove packages of the base", "Remove packages of the base.", "  tbx host override remove firefox", some, cobra.NoFileCompletions,
			func(args []string) osupdate.Request {
				return osupdate.Request{Verb: osupdate.OverrideRemove, Packages: args}
			}),
		changer(env, o, "reset [flags] [PACKAGE...]", "Take packages from the base again", "Take packages, or all, from the base again.", "  tbx host override reset firefox", any, cobra.NoFileCompletions,
			func(args []string) osupdate.Request {
				return osupdate.Request{Verb: osupdate.OverrideReset, Packages: args}
			}))
	return cmd
}
