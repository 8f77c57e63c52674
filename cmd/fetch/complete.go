package fetch

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
)

// CompleteImages offers the images that are here, by the short names that podman
// understands too where no full name begins like the word.
func (e *Env) CompleteImages(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && strings.Contains(cmd.Use, "IMAGE") && !strings.Contains(cmd.Use, "IMAGE...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	e.Quiet = true
	engine, err := e.Podman(cmd.Context())
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

// CompleteDistros offers the distributions of the catalogue.
func (e *Env) CompleteDistros(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
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

// CompleteReleases offers the releases that the catalogue knows of the distribution
// on the line, or else of the host's own.
func (e *Env) CompleteReleases(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
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

// CompleteBootstraps offers the distributions that can be made without a registry.
func (e *Env) CompleteBootstraps(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
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
		for _, release := range cli.SortedKeys(d.Bootstrap.Suites) {
			out = append(out, cobra.CompletionWithDesc(d.Name+":"+release, d.Bootstrap.Suites[release]))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// CompleteScopes offers the scopes that have a key of the user's.
func (e *Env) CompleteScopes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if _, err := e.Host(); err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	keys, err := e.Trust().List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, k := range keys {
		out = append(out, cobra.CompletionWithDesc(k.Scope, k.ID))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
