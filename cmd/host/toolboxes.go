package host

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/toolbox"
)

// autoToolboxes is the user's step after the host's.
func autoToolboxes(env *cli.Env, o *hostOptions) *cobra.Command {
	words := []string{"status", "on", "off"}
	cmd := &cobra.Command{
		Use: "toolboxes [flags] [status|on|off]", Short: "Upgrade your toolboxes after the host",
		Long: `Have your toolboxes upgraded once a day, when the host has had its turn, by units of your
own systemd. It is a step by itself: neither keeps the other from being done, and each has a
result of its own. As yourself, not with sudo.`,
		Example: "  tbx host auto toolboxes on\n  tbx host auto toolboxes status", Args: cli.AtMostOne,
		ValidArgsFunction: cli.OnlyFirst(cli.Words(words...)),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := toolboxesOf(env, o)
			if err != nil {
				return err
			}
			switch word := append(args, "status")[0]; word {
			case "on":
				err = w.On(cmd.Context())
			case "off":
				err = w.Off(cmd.Context())
			case "status":
			default:
				err = fail.New(fail.Usage, "%q is none of status, on, off", word)
			}
			if err != nil {
				return err
			}
			return printToolboxes(cmd, env, o, w)
		},
	}
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

func toolboxesOf(env *cli.Env, o *hostOptions) (*auto.Toolboxes, error) {
	if os.Geteuid() == 0 {
		return nil, fail.New(fail.Usage, "toolboxes are a user's").Hint("call it as yourself, without sudo")
	}
	cfg, err := hostConfig(env, o)
	if err != nil {
		return nil, err
	}
	user, err := toolbox.LookAtHost(env.Environ)
	if err != nil {
		return nil, err
	}
	self, err := programs.Front()
	if err != nil {
		return nil, err
	}
	return &auto.Toolboxes{Config: filepath.Dir(user.Dirs.Config), Root: cfg.Root, Tools: cfg.Tools, Program: self}, nil
}

func printToolboxes(cmd *cobra.Command, env *cli.Env, o *hostOptions, w *auto.Toolboxes) error {
	s, err := w.Look(cmd.Context())
	if err != nil {
		return err
	}
	return env.Print(o.format, s, func() error {
		if s.On {
			fmt.Fprintln(env.Out, "Your toolboxes are upgraded once a day, after the host")
		} else {
			fmt.Fprintln(env.Out, "Your toolboxes are not upgraded by themselves; to have that: tbx host auto toolboxes on")
		}
		switch at := s.At; {
		case at == nil:
		case s.Result == "success":
			fmt.Fprintf(env.Out, "The last time was %s, and went well\n", at.Local().Format("Mon 2 January 15:04"))
		default:
			fmt.Fprintf(env.Out, "The last time was %s, and failed (%s, %s): journalctl --user --unit tbx-toolboxes.service\n",
				at.Local().Format("Mon 2 January 15:04"), s.Result, s.Code)
		}
		return nil
	})
}
