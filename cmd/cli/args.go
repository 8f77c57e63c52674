package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
)

// UnknownCommand is the Args of a command that only has subcommands: any word that
// reaches it is an unknown command.
func UnknownCommand(cmd *cobra.Command, args []string) error {
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

// NoneEmpty refuses a flag with an empty value, such as one from a variable that a script
// has not set. Without the flag the command would mean something else.
func NoneEmpty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			err = fail.New(fail.Usage, "the value of --%s is empty", f.Name).Hint("leave out --%s, or give it a value", f.Name)
		}
	})
	return err
}

// FlagError adds the nearest flag to the error of the flag parser.
func FlagError(cmd *cobra.Command, err error) error {
	var own *fail.Error
	if errors.As(err, &own) {
		return own // a flag value of ours refused its text
	}
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

// Exactly is cobra.ExactArgs with a readable message.
func Exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fail.New(fail.Usage, "%s needs %s", cmd.CommandPath(), what).Hint("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// AtMostOne allows one name of a toolbox.
func AtMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fail.New(fail.Usage, "%s takes one toolbox, not %d", cmd.CommandPath(), len(args)).Hint("usage: %s", cmd.UseLine())
	}
	return nil
}

// AsSession marks a command whose exit codes are those of the command that it runs,
// already while its flags are read.
func AsSession(env *Env, cmd *cobra.Command) {
	SetExitGroup(cmd, ExitSession)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		env.Session = true
		return FlagError(c, err)
	})
	args := cmd.Args
	cmd.Args = func(c *cobra.Command, a []string) error {
		env.Session = true
		return args(c, a)
	}
}
