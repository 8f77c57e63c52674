//go:build !front

package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

func newCompletion(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a shell's completion script",
		Long: `Print the completion script of a shell. Packages and make install put it in
place; by hand:

  tbx completion bash > ~/.local/share/bash-completion/completions/tbx
  tbx completion zsh  > ~/.local/share/zsh/site-functions/_tbx
  tbx completion fish > ~/.config/fish/completions/tbx.fish`,
		Example:   "  tbx completion bash",
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      exactly(1, "the name of a shell: bash, zsh or fish"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(env.Out, true)
			case "zsh":
				return root.GenZshCompletion(env.Out)
			case "fish":
				return root.GenFishCompletion(env.Out, true)
			}
			return fail.New(fail.Usage, "there is no completion for %q", args[0]).Hint("there is one for bash, zsh and fish")
		},
	}
}

// completeToolboxes offers the names of toolboxes that are not on the line yet.
func (e *Env) completeToolboxes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
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

// completeRun offers toolboxes for the first word, and leaves the rest to the
// shell, which knows files.
func (e *Env) completeRun(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	out, _ := e.completeToolboxes(cmd, args, word)
	return out, cobra.ShellCompDirectiveDefault
}

// completeImages offers the images that are here, by the short names that podman
// understands too where no full name begins like the word.
func (e *Env) completeImages(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && strings.Contains(cmd.Use, "IMAGE") && !strings.Contains(cmd.Use, "IMAGE...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	e.Quiet = true
	engine, err := e.podman(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := engine.ImageNames(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names = slices.DeleteFunc(names, func(n string) bool { return escape.Text(n) != n || slices.Contains(args, n) })
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, word) }) {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	var short []string
	for _, n := range names {
		for rest := n; ; {
			var found bool
			if _, rest, found = strings.Cut(rest, "/"); !found {
				break
			}
			if strings.HasPrefix(rest, word) {
				short = append(short, rest)
			}
		}
	}
	return short, cobra.ShellCompDirectiveNoFileComp
}

// completeDistros offers the distributions of the catalogue.
func (e *Env) completeDistros(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cat, _, err := e.Catalogue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, d := range cat.Distros {
		out = append(out, d.Name)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeReleases offers the releases that the catalogue knows of the distribution
// on the line, or else of the host's own.
func (e *Env) completeReleases(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	cat, host, err := e.Catalogue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	name := cmd.Flag("distro").Value.String()
	if name == "" {
		name = host.ID
	}
	if d := cat.Find(name); d != nil {
		return d.Known(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeBootstraps offers the distributions that can be made without a registry.
func (e *Env) completeBootstraps(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cat, _, err := e.Catalogue()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, d := range cat.Distros {
		if len(d.Bootstrap.Tools) == 0 {
			continue
		}
		out = append(out, d.Name)
		for _, release := range sortedKeys(d.Bootstrap.Suites) {
			out = append(out, cobra.CompletionWithDesc(d.Name+":"+release, d.Bootstrap.Suites[release]))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeScopes offers the scopes that have a key of the user's.
func (e *Env) completeScopes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if _, err := e.Host(); err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	keys, err := e.trust().List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, k := range keys {
		out = append(out, cobra.CompletionWithDesc(k.Scope, k.ID))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// noCompletion says that the values of these flags cannot be guessed, so that
// the shell does not offer files.
func noCompletion(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions)
	}
}
