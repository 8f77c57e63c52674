package declared

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// NewAllow returns `tbx allow`.
func NewAllow(env *fetch.Env) *cobra.Command {
	return &cobra.Command{
		Use:         "allow [FILE]",
		Annotations: cli.Quietly(),
		Short:       "Trust the tbx.toml of a project as it is now",
		Long: `Trust the tbx.toml of a project as it is now: tbx enter then enters its toolbox, and
tbx apply takes it without being told its name. When the file changes it is not trusted
any more, until you have allowed it again. Look at it before: tbx plan.

Without FILE it is the one of the project that you are in. A link, a file of somebody
else and one that everybody may write to are refused.

What the file copies from beside it is not part of this: tbx apply shows it and asks.`,
		Example: "  tbx plan\n  tbx allow\n  tbx enter",
		Args:    atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := env.Host(); err != nil {
				return err
			}
			s, err := open(env, args, false)
			if err != nil {
				return err
			}
			f, err := s.parse(env)
			if err != nil {
				return err
			}
			if err := env.Permits().Allow(project.Permit{Path: s.path, Hash: f.Hash, Enter: string(f.Enter)}); err != nil {
				return err
			}
			var names []string
			for _, b := range f.Boxes {
				names = append(names, string(b.Name))
			}
			fmt.Fprintf(env.Out, "Allowed: %s\n", escape.Text(s.path))
			fmt.Fprintf(env.Out, "It declares: %s. Make or change them with: tbx apply\n", strings.Join(names, ", "))
			if f.Enter != "" {
				fmt.Fprintf(env.Out, "tbx enter means %s there.\n", f.Enter)
			}
			return nil
		},
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
}

// NewDeny returns `tbx deny`.
func NewDeny(env *fetch.Env) *cobra.Command {
	return &cobra.Command{
		Use:         "deny [FILE]",
		Annotations: cli.Quietly(),
		Short:       "Trust the tbx.toml of a project no more",
		Long: `Trust the tbx.toml of a project no more: tbx enter does not heed it, and tbx apply
wants to be told its name. Toolboxes that were made from it stay.

Without FILE it is the one of the project that you are in. It need not be there any more.`,
		Example: "  tbx deny\n  tbx deny ~/src/old/tbx.toml",
		Args:    atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := env.Host(); err != nil {
				return err
			}
			path, err := denied(env, args)
			if err != nil {
				return err
			}
			was, err := env.Permits().Deny(path)
			if err == nil && !was {
				err = fail.New(fail.NotFound, "%s was not allowed", escape.Text(path))
			}
			if err == nil {
				fmt.Fprintf(env.Out, "Not allowed any more: %s\n", escape.Text(path))
			}
			return err
		},
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
}
