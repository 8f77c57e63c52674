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
	cmd := &cobra.Command{
		Use:   "allow [FILE]",
		Short: "Trust the tbx.toml of a project as it is now",
		Long: `Trust the tbx.toml of a project as it is now. Then tbx enter enters its toolbox, and
tbx apply uses it without its name. When the file changes, the trust ends until you allow
it again. Look at it before: tbx plan.

Without FILE, tbx takes the one of the project that you are in. It refuses a link, a file
of somebody else, and a file that everybody may write to.

Files that tbx.toml copies are not covered: tbx apply shows them and asks.`,
		Example: "  tbx plan\n  tbx allow\n  tbx enter",
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
				fmt.Fprintf(env.Out, "tbx enter enters %s there.\n", f.Enter)
			}
			return nil
		},
	}
	cmd.Annotations = cli.Quietly()
	ofFile(cmd)
	return cmd
}

// NewDeny returns `tbx deny`.
func NewDeny(env *fetch.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deny [FILE]",
		Short: "Stop trusting the tbx.toml of a project",
		Long: `Stop trusting the tbx.toml of a project: tbx enter ignores it, and tbx apply needs its
name. Toolboxes that were made from it stay.

Without FILE, tbx takes the one of the project that you are in. The file may be gone.`,
		Example: "  tbx deny\n  tbx deny ~/src/old/tbx.toml",
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
	}
	cmd.Annotations = cli.Quietly()
	ofFile(cmd)
	return cmd
}
