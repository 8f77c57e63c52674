package cmd

import (
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
)

// Version of tbx; set at build time.
var Version = "0.1.0-dev"

func newRoot(env *Env) *cobra.Command {
	var verbose int
	var level string
	var podmanLog bool
	root := &cobra.Command{
		Use:   "tbx",
		Short: "Toolboxes to work in, on a host that stays as it is",
		Long: `tbx gives you toolboxes: containers of your own that share your home, display,
sound, sockets and devices with the host. What is installed in one stays in it,
and the host's own system stays as it is. A toolbox is no sandbox: what runs in
it can do what you can.`,
		Example: `  tbx enter                     a shell in your toolbox; offers to make one
  tbx create --distro debian    another toolbox
  tbx run make                  one command in it`,
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := noneEmpty(cmd.Flags()); err != nil {
				return err
			}
			switch {
			case level != "":
				l, err := logrus.ParseLevel(level)
				if err != nil {
					return fail.New(fail.Usage, "there is no log level %q", level).Hint("there are: trace, debug, info, warn, error, fatal, panic")
				}
				env.Log.SetLevel(l)
			case verbose > 0:
				env.Log.SetLevel(logrus.DebugLevel)
			}
			return nil
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("tbx {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.BoolVarP(&env.Yes, "yes", "y", false, "answer every question with yes")
	flags.BoolVarP(&env.Quiet, "quiet", "q", false, "show no progress")
	flags.CountVarP(&verbose, "verbose", "v", "say what is done; twice: also what podman does")
	flags.StringVar(&level, "log-level", "", "log messages of this `LEVEL` and above: trace, debug, info, warn, error")
	root.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"trace", "debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	flags.BoolVar(&podmanLog, "log-podman", false, "accepted for Toolbx's sake; podman's messages are shown where they matter")
	flags.MarkHidden("log-podman")
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name { // Toolbx's names
		case "assumeyes":
			name = "yes"
		case "container":
			name = "toolbox"
		}
		return pflag.NormalizedName(name)
	})
	root.AddCommand(env.commands()...)
	asWritten(root)
	return root
}

// asWritten shows the flags and the usage lines of all commands below c as their
// code has them.
func asWritten(c *cobra.Command) {
	for _, sub := range c.Commands() {
		sub.Flags().SortFlags = false
		sub.DisableFlagsInUseLine = true
		asWritten(sub)
	}
}

// unknownCommand is the Args of a command that only has subcommands: a word that
// reaches it is none of them.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	path := cmd.CommandPath()
	err := fail.New(fail.Usage, "there is no command %q", strings.TrimPrefix(path+" "+args[0], "tbx "))
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(append(names, c.Name()), c.Aliases...)
		}
	}
	if near := nearest.Names(args[0], names); len(near) > 0 {
		return err.Hint("did you mean: %s %s", path, strings.Join(near, ", "+path+" "))
	}
	return err.Hint("%s --help lists the commands", path)
}

// noneEmpty refuses a flag whose value is empty, as of a variable that a script has
// not set: without it the command would mean something else.
func noneEmpty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			err = fail.New(fail.Usage, "the value of --%s is empty", f.Name).Hint("leave --%s away, or give it a value", f.Name)
		}
	})
	return err
}

// flagError adds the nearest flag to what the flag parser says.
func flagError(cmd *cobra.Command, err error) error {
	text, parser, _ := strings.Cut(err.Error(), ": strconv.")
	switch {
	case strings.HasPrefix(parser, "ParseInt"):
		text += ": it must be a number"
	case strings.HasPrefix(parser, "ParseBool"):
		text += ": it must be true or false"
	}
	e := fail.New(fail.Usage, "%s", text)
	if word, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest.Names(word, names); len(near) > 0 {
			return e.Hint("did you mean --%s?", strings.Join(near, " or --"))
		}
	}
	return e.Hint("%s --help lists the flags", cmd.CommandPath())
}

// exactly is cobra.ExactArgs with a sentence.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fail.New(fail.Usage, "%s wants %s", cmd.CommandPath(), what).Hint("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// atMostOne allows one name of a toolbox.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fail.New(fail.Usage, "%s takes one toolbox, not %d", cmd.CommandPath(), len(args)).Hint("usage: %s", cmd.UseLine())
	}
	return nil
}

// Root returns the commands as tbx has them, for what is generated from them.
func Root() *cobra.Command { return newRoot(newEnv(os.Stdin, os.Stdout, os.Stderr, os.Environ())) }
