package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/completion"
	"github.com/tbx-project/tbx/toolbox"
)

// Complete makes a cobra completion from offer. Files are not offered.
func Complete(offer func(cmd *cobra.Command, args []string, word string) []completion.Item) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, item := range offer(cmd, args, word) {
			out = append(out, cobra.CompletionWithDesc(item.Word, item.Help))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// Words completes a fixed list of words.
func Words(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// Directories lets the shell complete directories.
func Directories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// Files lets the shell complete files.
func Files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// OnlyFirst completes the first word with complete, and no other word.
func OnlyFirst(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, word)
	}
}

// lister is a completion.Lister.
type lister struct{ m *toolbox.Manager }

func (l lister) Toolboxes(ctx context.Context) ([]completion.Toolbox, error) {
	all, err := l.m.List(ctx)
	var out []completion.Toolbox
	for _, b := range all {
		// A container of another tool may have a name that tbx refuses: do not offer
		// that.
		if _, err := toolbox.ParseName(string(b.Name)); err == nil {
			out = append(out, completion.Toolbox{Name: string(b.Name), State: string(b.State), Image: b.Image})
		}
	}
	return out, err
}

// CompleteToolboxes offers the names of toolboxes that are not on the line yet, for the
// words of a command and for a flag.
func (e *Env) CompleteToolboxes(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(cmd *cobra.Command, args []string, _ string) []completion.Item {
		if len(args) > 0 && !strings.Contains(cmd.Use, "NAME...") {
			return nil
		}
		m, err := e.Manager()
		if err != nil {
			return nil
		}
		e.Quiet = true
		return completion.Toolboxes(cmd.Context(), lister{m}, args)
	})(cmd, args, word)
}

// CompleteRun offers toolboxes for the first word, and leaves the others to the shell,
// which knows files.
func (e *Env) CompleteRun(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	out, _ := e.CompleteToolboxes(cmd, args, word)
	return out, cobra.ShellCompDirectiveDefault
}

// CompleteVariables offers the names of the caller's variables.
func (e *Env) CompleteVariables(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return Complete(func(*cobra.Command, []string, string) []completion.Item { return completion.Variables(e.Environ) })(cmd, args, word)
}

// NoCompletion says that the values of these flags cannot be guessed, so that the shell
// does not offer files. A test lists these flags with the reasons.
func NoCompletion(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions)
		MarkFree(cmd, f)
	}
}

// MarkFree marks a flag whose values cannot be guessed.
func MarkFree(cmd *cobra.Command, flag string) {
	cmd.Flag(flag).Annotations = map[string][]string{FreeFlag: {"true"}}
}

// FreeFlag marks a flag whose values cannot be guessed, see NoCompletion.
const FreeFlag = "tbx-free"
