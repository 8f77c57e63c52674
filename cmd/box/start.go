package box

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// NewStart returns `tbx start`.
func NewStart(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:         "start NAME...",
		Annotations: cli.Quietly(),
		Short:       "Start toolboxes",
		Long:        "Start toolboxes and set them up. enter and run do this themselves.",
		Example:     "  tbx start build",
		Args:        names,
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(env, args, func(m *toolbox.Manager, name toolbox.Name) error {
				_, err := m.Start(cmd.Context(), name)
				return err
			})
		},
		ValidArgsFunction: env.CompleteToolboxes,
	}
}

// NewStop returns `tbx stop`.
func NewStop(env *cli.Env) *cobra.Command {
	var all bool
	grace := 2
	cmd := &cobra.Command{
		Use:     "stop [flags] NAME...",
		Short:   "Stop toolboxes",
		Long:    "Stop toolboxes and everything that runs in them. All files in them stay.",
		Example: "  tbx stop build\n  tbx stop --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if grace < 0 {
				return fail.New(fail.Usage, "--time %d: it must not be negative", grace)
			}
			args, err := allIf(env, cmd, all, args, func(*toolbox.Box) bool { return true })
			if err != nil {
				return err
			}
			return each(env, args, func(m *toolbox.Manager, name toolbox.Name) error {
				_, err := m.Stop(cmd.Context(), name, time.Duration(grace)*time.Second)
				return err
			})
		},
	}
	ofToolboxes(env, cmd, &all, "all toolboxes")
	cmd.Flags().IntVarP(&grace, "time", "t", grace, "`SECONDS` to wait before processes are killed")
	cli.NoCompletion(cmd, "time")
	return cmd
}

// NewRemove returns `tbx rm`.
func NewRemove(env *cli.Env) *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:   "rm [flags] NAME...",
		Short: "Remove toolboxes",
		Long: `Remove toolboxes with everything installed in them. Your home and other directories of
the host are untouched, also one given with create --home. An isolated toolbox's private
home and a toolbox's snapshots are removed with it. So are the policy rules for its name
that tbx policy allow and your answers have written; each is shown.

tbx asks first. --force does not ask, and also removes a running toolbox.`,
		Example: "  tbx rm build\n  tbx rm --force build test",
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := allIf(env, cmd, all, args, (*toolbox.Box).Removable)
			if err != nil {
				return err
			}
			return each(env, args, func(m *toolbox.Manager, name toolbox.Name) error {
				if err := m.Removable(cmd.Context(), name, force); err != nil {
					return err
				}
				if !force {
					if err := env.Ask(removeQuestion(cmd.Context(), m, name)); err != nil {
						return err
					}
				}
				if err := m.Remove(cmd.Context(), name, force); err != nil {
					return err
				}
				env.ForgetRules(string(name))
				return nil
			})
		},
	}
	ofToolboxes(env, cmd, &all, "all toolboxes")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask, and remove running toolboxes too")
	return cmd
}

func removeQuestion(ctx context.Context, m *toolbox.Manager, name toolbox.Name) string {
	q := fmt.Sprintf("Remove toolbox %s with everything installed in it", name)
	b, err := m.Find(ctx, name)
	if err == nil && b.Isolated() {
		q += ", and its private home with all files in it"
	}
	if err == nil && b.Managed() {
		if all, err := m.Snapshots(ctx, b.Labels[toolbox.LabelID]); err == nil && len(all) > 0 {
			q += ", and its " + cli.Plural(len(all), "snapshot")
		}
	}
	return q + "?"
}

// NewRename returns `tbx rename`.
func NewRename(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:         "rename OLD NEW",
		Annotations: cli.Quietly(),
		Short:       "Give a toolbox another name",
		Long: `Give a toolbox another name. It may be running; open sessions keep the old name in their
prompt. The policy rules that tbx policy allow and your answers have written for it keep
working.`,
		Example: "  tbx rename debian-toolbox-12 work",
		Args:    cli.Exactly(2, "the old name and the new one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := env.Manager()
			if err != nil {
				return err
			}
			old, err := toolbox.ParseName(args[0])
			if err != nil {
				return err
			}
			name, err := toolbox.ParseName(args[1])
			if err != nil {
				return err
			}
			if err := m.Rename(cmd.Context(), old, name); err != nil {
				return err
			}
			env.MoveRules(string(old), string(name))
			return nil
		},
		ValidArgsFunction: env.CompleteToolboxes,
	}
}

func names(cmd *cobra.Command, args []string) error {
	none := false
	return namesOr(&none)(cmd, args)
}

// namesOr accepts names, or --all without names.
func namesOr(all *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case *all && len(args) > 0:
			return fail.New(fail.Usage, "--all goes without names")
		case !*all && len(args) == 0:
			return fail.New(fail.Usage, "%s needs the name of a toolbox", cmd.CommandPath()).Hint("tbx list shows them")
		}
		return nil
	}
}

// allIf returns the names of all toolboxes that such accepts, with --all; else args.
func allIf(e *cli.Env, cmd *cobra.Command, all bool, args []string, such func(*toolbox.Box) bool) ([]string, error) {
	if !all {
		return args, nil
	}
	m, err := e.Manager()
	if err != nil {
		return nil, err
	}
	boxes, err := m.List(cmd.Context())
	for _, b := range boxes {
		if such(b) {
			args = append(args, string(b.Name))
		}
	}
	return args, err
}

// each calls do for every toolbox of args.
func each(e *cli.Env, args []string, do func(*toolbox.Manager, toolbox.Name) error) error {
	m, err := e.Manager()
	if err != nil {
		return err
	}
	parsed := make([]toolbox.Name, 0, len(args))
	for _, a := range args {
		name, err := toolbox.ParseName(a)
		if err != nil {
			return err // before anything was done
		}
		parsed = append(parsed, name)
	}
	return cli.ForEach(e, parsed, func(name toolbox.Name) error { return do(m, name) })
}
