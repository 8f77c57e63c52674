package image

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

func newImageTrust(env *fetch.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Manage the keys that images must be signed with",
		Long: `Manage the keys that images must be signed with. A scope is a registry, or a namespace
or repository in it. The narrowest scope of an image decides: its one key must have signed
the image. The keys are used when the configuration has require_signature = true below
[images], and by tbx image verify.`,
		Example: `  tbx image trust add quay.io/toolbx key.pub
  tbx image trust list`,
		Args: cli.UnknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTrustAdd(env), newTrustList(env), newTrustRemove(env))
	return cmd
}

// maxKey is far more than the size of any public key.
const maxKey = 1 << 20

func newTrustAdd(env *fetch.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "add SCOPE FILE",
		Short: "Trust a key for the images of a scope",
		Long: `Trust a public key for the images of a scope: an OpenPGP key (gpg --armor --export
WHO) for podman's signatures, or a PEM key (cosign.pub) for sigstore's. FILE may be -, for
standard input. tbx keeps a copy. A scope has one key: remove it before you add another.

Some versions of podman cannot check sigstore signatures, Debian 12's among them. Images
that need one are then refused.`,
		Example: "  tbx image trust add quay.io/toolbx cosign.pub\n" +
			"  gpg --export alice@example.org | tbx image trust add registry.example.org -",
		Args: cli.Exactly(2, "a scope and a file with a public key"),
		RunE: func(cmd *cobra.Command, args []string) error { return runTrustAdd(env, args[0], args[1]) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func runTrustAdd(env *fetch.Env, scope, path string) error {
	if _, err := env.Host(); err != nil {
		return err
	}
	in := env.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fail.Wrap(fail.NotFound, err, "key for %s", escape.Text(scope)).Hint(images.KeyHint)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxKey+1))
	if err != nil {
		return fail.Wrap(nil, err, "key for %s", escape.Text(scope))
	}
	if len(data) > maxKey {
		return fail.New(fail.Usage, "key for %s: %s is larger than any key", escape.Text(scope), escape.Text(path))
	}
	key, err := env.Trust().Add(scope, data)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "%s %s %s\n", key.Scope, key.Kind, key.ID)
	c, err := env.Config()
	if err == nil && !c.Images.RequireSignature {
		env.Progress().Warn("signatures are not required yet", "write require_signature = true below [images] in ~/.config/tbx/config.toml")
	}
	return err
}

func newTrustList(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "List the trusted keys",
		Long: `List the trusted keys: yours, the administrator's in /etc/tbx/keys, and the
distribution's in /usr/share/tbx/keys. Yours take precedence.`,
		Example:           "  tbx image trust list",
		Args:              cli.Exactly(0, "no arguments"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runTrustList(env, format) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

func runTrustList(env *fetch.Env, format cli.Format) error {
	if _, err := env.Host(); err != nil {
		return err
	}
	keys, err := env.Trust().List()
	if err != nil {
		return err
	}
	return env.Print(format, cli.OrEmpty(keys), func() error {
		if len(keys) == 0 {
			fmt.Fprintln(env.Err, "No key is trusted yet. Add one with: tbx image trust add SCOPE FILE")
			return nil
		}
		t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SCOPE\tKIND\tKEY\tFILE")
		for _, k := range keys {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.Scope, k.Kind, k.ID, escape.Text(k.Path))
		}
		return t.Flush()
	})
}

func newTrustRemove(env *fetch.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "remove SCOPE",
		Aliases: []string{"rm"},
		Short:   "Stop trusting the key of a scope",
		Long: `Remove your key of a scope. The images that it has signed stay, but they count as
unsigned from then on: if signatures are required, no new toolbox is made from them. tbx
asks first.`,
		Example: "  tbx image trust remove quay.io/toolbx",
		Args:    cli.Exactly(1, "a scope"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := env.Host(); err != nil {
				return err
			}
			keys, err := env.Trust().List()
			if err != nil {
				return err
			}
			for _, k := range keys {
				if k.Scope == args[0] && strings.HasPrefix(k.Path, env.Trust().Dir) {
					if err := env.Ask(fmt.Sprintf("Remove the key %s of %s?", k.ID, k.Scope)); err != nil {
						return err
					}
				}
			}
			return env.Trust().Remove(args[0])
		},
		ValidArgsFunction: env.CompleteScopes,
	}
}
