package root

import (
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
)

// Version of tbx; set at build time.
var Version = "0.1.0-dev"

// New returns the command tbx, with the commands that commands makes.
func New(env *cli.Env, commands func(*cli.Env) []*cobra.Command) *cobra.Command {
	var o messages
	root := &cobra.Command{
		Use:   "tbx",
		Short: "Toolboxes to work in, on a host that stays as it is",
		Long: `tbx gives you toolboxes: containers of your own that share your home, display,
sound, sockets and devices with the host. Software installed in one stays in it, and the
host's own system stays as it is. A toolbox is no sandbox: programs in it can do whatever
you can.`,
		Example: `  tbx enter                     a shell in your toolbox; offers to make one
  tbx create --distro debian    another toolbox
  tbx run make                  one command in it`,
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cli.UnknownCommand,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.NoneEmpty(cmd.Flags()); err != nil {
				return err
			}
			return o.apply(env, cmd)
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("tbx {{.Version}}\n")
	root.SetFlagErrorFunc(cli.FlagError)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.BoolVarP(&env.Yes, "yes", "y", false, "answer every question with yes")
	flags.BoolVarP(&env.Quiet, "quiet", "q", false, "show no progress")
	o.flags(root)
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name { // Toolbx's names
		case "assumeyes":
			name = "yes"
		case "container":
			name = "toolbox"
		}
		return pflag.NormalizedName(name)
	})
	root.AddCommand(commands(env)...)
	asWritten(root)
	return root
}

// messages are the flags that choose the messages to show.
type messages struct {
	verbose   int
	level     string
	podmanLog bool
}

func (o *messages) flags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.CountVarP(&o.verbose, "verbose", "v", "report each step; twice: also podman's")
	flags.StringVar(&o.level, "log-level", "", "log messages of this `LEVEL` and above: trace, debug, info, warn, error")
	root.RegisterFlagCompletionFunc("log-level", cli.Words("trace", "debug", "info", "warn", "error"))
	flags.BoolVar(&o.podmanLog, "log-podman", false, "accepted for Toolbx's sake; podman's messages are shown where they matter")
	flags.MarkHidden("log-podman")
}

// apply sets env from the flags and the command.
func (o *messages) apply(env *cli.Env, cmd *cobra.Command) error {
	if _, sober := cmd.Annotations[cli.QuietSuccess]; sober && o.verbose == 0 && !cli.IsTerminal(env.Err) {
		env.Quiet = true
	}
	env.Verbose = o.verbose > 0
	switch {
	case o.level != "":
		l, err := logrus.ParseLevel(o.level)
		if err != nil {
			return fail.New(fail.Usage, "there is no log level %q", o.level).Hint("there are: trace, debug, info, warn, error, fatal, panic")
		}
		env.Log.SetLevel(l)
	case env.Verbose:
		env.Log.SetLevel(logrus.DebugLevel)
	}
	return nil
}

// asWritten makes all commands below c show flags and usage lines as written in their
// code.
func asWritten(c *cobra.Command) {
	for _, sub := range c.Commands() {
		sub.Flags().SortFlags = false
		sub.DisableFlagsInUseLine = true
		asWritten(sub)
	}
}
