package host

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/completion"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// changeOptions are the flags of every command that changes the host.
type changeOptions struct {
	dryRun bool
	reboot bool
	check  bool
}

// change is the user's request for a verb, after its flags are read.
type change struct {
	*changeOptions
	request osupdate.Request
}

// hostChangers returns the commands that change the host: one for each row of
// osupdate.Table with a command, and build, which an ordinary user cannot order.
func hostChangers(env *cli.Env, o *hostOptions) []*cobra.Command {
	var out []*cobra.Command
	groups := map[string]*cobra.Command{}
	for _, row := range osupdate.Table() {
		if row.Help.Command == "" {
			continue
		}
		cmd := verbCommand(env, o, &row)
		group, _, below := strings.Cut(row.Help.Command, " ")
		switch {
		case !below:
			out = append(out, cmd)
		case groups[group] == nil:
			groups[group] = verbGroup(group)
			out = append(out, groups[group])
			fallthrough
		default:
			groups[group].AddCommand(cmd)
		}
	}
	return append(out, hostBuild(env, o))
}

// verbGroup returns a command that only groups the commands of verbs.
func verbGroup(name string) *cobra.Command {
	cmd := &cobra.Command{
		Use:  name,
		Args: cli.UnknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	if name == "override" {
		cmd.Short = "Replace or remove packages of the host's system"
		cmd.Long = "Replace or remove packages of the host's system itself, and undo that."
		cmd.Example = "  tbx host override reset"
	}
	return cmd
}

// verbCommand makes a verb's command from its row.
func verbCommand(env *cli.Env, o *hostOptions, row *osupdate.VerbInfo) *cobra.Command {
	c := &changeOptions{}
	use := row.Use()
	if _, name, below := strings.Cut(row.Help.Command, " "); below {
		use = strings.TrimPrefix(use, strings.TrimSuffix(row.Help.Command, name))
	}
	run := func(cmd *cobra.Command, ch change) error { return runChange(cmd, env, o, ch) }
	cmd := &cobra.Command{
		Use: use, Short: row.Help.Short, Long: row.Help.Long, Example: row.Help.Example, ValidArgsFunction: cobra.NoFileCompletions,
	}
	words := verbWords(env, o, cmd, row)
	switch row.Verb {
	case osupdate.Install:
		run = withToolbox(env, o, cmd)
	case osupdate.Kargs:
		run = withKargs(env, o)
	case osupdate.Counting:
		run = withCounting(env, o)
	}
	set := verbFlags(env, o, cmd, row)
	changeFlags(cmd, o, c)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := osupdate.Request{Verb: row.Verb}
		set(&r)
		for _, word := range args {
			words.Set(&r, word)
		}
		if err := absolute(&r); err != nil {
			return err
		}
		return run(cmd, change{c, r})
	}
	return cmd
}

// absolute makes the paths of a request absolute, because the updater runs in another
// directory.
func absolute(r *osupdate.Request) error {
	paths := []*string{}
	if r.Verb == osupdate.Upgrade && r.From != "" {
		paths = append(paths, &r.From)
	}
	for i := range r.Packages {
		if r.Verb == osupdate.Install && strings.HasSuffix(r.Packages[i], ".rpm") && !strings.Contains(r.Packages[i], "://") {
			paths = append(paths, &r.Packages[i])
		}
	}
	for _, path := range paths {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}

// verbWords sets the words that a command takes behind its flags. It returns their
// argument, or nil.
func verbWords(env *cli.Env, o *hostOptions, cmd *cobra.Command, row *osupdate.VerbInfo) *osupdate.Argument {
	cmd.Args = cli.Exactly(0, "no arguments")
	for i := range row.Args {
		a := &row.Args[i]
		if a.Flag != "" {
			continue
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && a.Required == "", len(args) == 1, len(args) > 1 && a.Many():
				return nil
			case len(args) == 0:
				return fail.New(fail.Usage, "%s needs %s", cmd.CommandPath(), a.Wants).Hint("usage: %s", cmd.UseLine())
			}
			return fail.New(fail.Usage, "%s takes %s, not %d", cmd.CommandPath(), a.Wants, len(args)).Hint("usage: %s", cmd.UseLine())
		}
		complete := completeArgument(env, o, row.Verb, a)
		if !a.Many() {
			complete = cli.OnlyFirst(complete)
		}
		cmd.ValidArgsFunction = complete
		return a
	}
	return nil
}

// verbFlags adds the flags of a verb's arguments. set stores their values in a request.
func verbFlags(env *cli.Env, o *hostOptions, cmd *cobra.Command, row *osupdate.VerbInfo) (set func(*osupdate.Request)) {
	var sets []func(*osupdate.Request)
	for i := range row.Args {
		a := &row.Args[i]
		f := cmd.Flags()
		switch {
		case a.Flag == "":
		case a.Place == "":
			on := f.Bool(a.Flag, false, a.Usage)
			sets = append(sets, func(r *osupdate.Request) {
				if *on {
					a.Set(r, "")
				}
			})
		default:
			sets = append(sets, verbFlag(f, a))
			cmd.RegisterFlagCompletionFunc(a.Flag, completeArgument(env, o, row.Verb, a))
			if a.Flag != "delete" && (a.Flag != "from" || row.Verb != osupdate.Upgrade) {
				cli.MarkFree(cmd, a.Flag)
			}
		}
	}
	return func(r *osupdate.Request) {
		for _, set := range sets {
			set(r)
		}
	}
}

// verbFlag adds a flag with one or several values.
func verbFlag(f *pflag.FlagSet, a *osupdate.Argument) func(*osupdate.Request) {
	if a.Many() {
		values := f.StringArray(a.Flag, nil, a.Usage)
		return func(r *osupdate.Request) {
			for _, v := range *values {
				a.Set(r, v)
			}
		}
	}
	value := f.String(a.Flag, "", a.Usage)
	return func(r *osupdate.Request) { a.Set(r, *value) }
}

// completeArgument offers values for an argument of a verb.
func completeArgument(env *cli.Env, o *hostOptions, verb osupdate.Verb, a *osupdate.Argument) cobra.CompletionFunc {
	if len(a.Choices) > 0 {
		return cli.Words(a.Choices...)
	}
	changes := func(which func(completion.System) []string) cobra.CompletionFunc {
		return cli.Complete(func(cmd *cobra.Command, args []string, _ string) []completion.Item {
			return completion.Changes(cmd.Context(), systems{env, o}, args, which)
		})
	}
	switch {
	case verb == osupdate.Upgrade && a.Flag == "from":
		return cli.Directories
	case verb == osupdate.Install:
		return packageFiles
	case a.Place == "SYSTEM":
		return deployments(env, o)
	case verb == osupdate.Uninstall:
		return changes(func(s completion.System) []string { return s.Layered })
	case verb == osupdate.OverrideReset:
		return changes(func(s completion.System) []string { return s.Replaced })
	case verb == osupdate.Kargs && a.Flag == "delete":
		return changes(func(s completion.System) []string { return s.Kargs })
	}
	return cobra.NoFileCompletions
}

// packageFiles offers the package files of a directory; the name of a package can be
// anything.
func packageFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"rpm"}, cobra.ShellCompDirectiveFilterFileExt
}

func changeFlags(cmd *cobra.Command, o *hostOptions, c *changeOptions) {
	f := cmd.Flags()
	f.BoolVar(&c.dryRun, "dry-run", false, "print the plan, and change nothing")
	f.BoolVar(&c.reboot, "reboot", false, "restart the machine afterwards, when that is needed")
	f.BoolVar(&c.check, "check", false, "end with code 77 when there was nothing to do")
	cli.FormatFlag(cmd, &o.format)
}
