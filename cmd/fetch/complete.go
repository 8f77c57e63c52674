package fetch

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/completion"
)

// ImageNames makes Env a completion.Namer.
func (e *Env) ImageNames(ctx context.Context) ([]string, error) {
	engine, err := e.Podman(ctx)
	if err != nil {
		return nil, err
	}
	return engine.ImageNames(ctx)
}

// CompleteImages offers the local images.
func (e *Env) CompleteImages(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return cli.Complete(func(cmd *cobra.Command, args []string, word string) []completion.Item {
		if len(args) > 0 && strings.Contains(cmd.Use, "IMAGE") && !strings.Contains(cmd.Use, "IMAGE...") {
			return nil
		}
		e.Quiet = true
		return completion.Images(cmd.Context(), e, args, word)
	})(cmd, args, word)
}

// distros returns the distributions of the catalogue, and the name of the host's own.
func (e *Env) distros() (all []completion.Distro, own string) {
	cat, host, err := e.Catalogue()
	if err != nil {
		return nil, ""
	}
	for _, d := range cat.Distros {
		c := completion.Distro{Name: d.Name, Releases: d.Known()}
		if len(d.Bootstrap.Tools) > 0 {
			c.Suites = d.Bootstrap.Suites
			if c.Suites == nil {
				c.Suites = map[string]string{}
			}
		}
		all = append(all, c)
	}
	if d := cat.Find(host.ID); d != nil {
		own = d.Name
	}
	return all, own
}

// CompleteDistros offers the distributions of the catalogue.
func (e *Env) CompleteDistros(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return cli.Complete(func(*cobra.Command, []string, string) []completion.Item {
		all, _ := e.distros()
		return completion.Distros(all)
	})(cmd, args, word)
}

// CompleteReleases offers the catalogue's releases of the distribution on the line, or
// else of the host's own.
func (e *Env) CompleteReleases(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return cli.Complete(func(cmd *cobra.Command, _ []string, _ string) []completion.Item {
		all, name := e.distros()
		if asked := cmd.Flag("distro").Value.String(); asked != "" {
			name = asked
			if cat, _, err := e.Catalogue(); err == nil && cat.Find(asked) != nil {
				name = cat.Find(asked).Name // the user may have given another of its names
			}
		}
		return completion.Releases(all, name)
	})(cmd, args, word)
}

// CompleteBootstraps offers the distributions that can be bootstrapped.
func (e *Env) CompleteBootstraps(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return cli.OnlyFirst(cli.Complete(func(*cobra.Command, []string, string) []completion.Item {
		all, _ := e.distros()
		return completion.Bootstraps(all)
	}))(cmd, args, word)
}

// CompleteScopes offers the scopes that have a key.
func (e *Env) CompleteScopes(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return cli.OnlyFirst(cli.Complete(func(*cobra.Command, []string, string) []completion.Item {
		if _, err := e.Host(); err != nil {
			return nil
		}
		keys, err := e.Trust().List()
		if err != nil {
			return nil
		}
		var out []completion.Item
		for _, k := range keys {
			out = append(out, completion.Item{Word: k.Scope, Help: k.ID})
		}
		return out
	}))(cmd, args, word)
}
