package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox"
)

// CompleteToolboxes offers the names of toolboxes that are not on the line yet.
func (e *Env) CompleteToolboxes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && !strings.Contains(cmd.Use, "NAME...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	m, err := e.Manager()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	e.Quiet = true
	all, err := m.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, b := range all {
		// What another tool named so that tbx would refuse it is no help either.
		if _, err := toolbox.ParseName(string(b.Name)); err == nil && !slices.Contains(args, string(b.Name)) {
			out = append(out, cobra.CompletionWithDesc(string(b.Name), escape.Text(string(b.State)+", "+b.Image)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// CompleteRun offers toolboxes for the first word, and leaves the rest to the
// shell, which knows files.
func (e *Env) CompleteRun(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	out, _ := e.CompleteToolboxes(cmd, args, word)
	return out, cobra.ShellCompDirectiveDefault
}

// NoCompletion says that the values of these flags cannot be guessed, so that
// the shell does not offer files.
func NoCompletion(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions)
	}
}
