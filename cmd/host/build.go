package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/toolbox"
)

func hostBuild(env *cli.Env, o *hostOptions) *cobra.Command {
	c := &changeOptions{}
	cmd := &cobra.Command{
		Use:   "build [flags] DIR|CONTAINERFILE",
		Short: "Build the host's own system and boot it next",
		Long: `Build an image from a Containerfile with podman, check it with bootc's linter if it has
bootc, and switch the host to it. On a plain OSTree host, the image's files become a commit
in the host's own repository, which is then deployed. There a directory that holds a file
system tree with a kernel works as well. The Containerfile's commands run as root, so only
root may do this.`,
		Example: `  tbx host export-containerfile > my-host/Containerfile
  sudo tbx host build my-host`,
		Args:              cli.Exactly(1, "a directory or a Containerfile"),
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := openHost(env, o)
			if err != nil {
				return err
			}
			res, err := h.Build(cmd.Context(), args[0], c.dryRun)
			if err != nil {
				return err
			}
			if err := printChange(env, o, res); err != nil {
				return err
			}
			return finishChange(cmd.Context(), h, c, res)
		},
	}
	changeFlags(cmd, o, c)
	return cmd
}

func hostExport(env *cli.Env, o *hostOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "export-containerfile [flags]",
		Short: "Write the host's changes as a Containerfile",
		Long: `Write layered packages, overrides and kernel arguments of the running system as a
Containerfile, which tbx host build makes an image from.`,
		Example:           "  tbx host export-containerfile > my-host/Containerfile",
		Args:              cli.Exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := openHost(env, o)
			if err != nil {
				explainDetection(env, h, err)
				return err
			}
			text, err := h.Containerfile(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(env.Out, text)
			return err
		},
	}
}

// withToolbox offers a toolbox before packages are installed on the host, because that
// changes nothing on the host.
func withToolbox(env *cli.Env, o *hostOptions, cmd *cobra.Command) func(*cobra.Command, change) error {
	onHost := cmd.Flags().Bool("on-host", false, "layer them on the host's system, without asking")
	inImage := cmd.Flags().Bool("in-image", false, "add them to a Containerfile of your own for this host")
	return func(cmd *cobra.Command, c change) error {
		if err := c.request.Validate(); err != nil {
			return err
		}
		names := c.request.Packages
		switch {
		case *onHost && *inImage:
			return fail.New(fail.Usage, "--on-host and --in-image exclude each other").Hint("choose one")
		case *inImage:
			return addToImage(cmd, env, o, names)
		case !*onHost && !c.dryRun:
			if done, err := offerToolbox(env, names); done || err != nil {
				return err
			}
		}
		err := runChange(cmd, env, o, c)
		if osupdate.ProblemOf(err) != osupdate.ErrUnsupported || !cli.IsTerminal(env.In) || !cli.IsTerminal(env.Err) {
			return err
		}
		if h, _ := openHost(env, o); h == nil || !h.FromImage(cmd.Context()) {
			return err
		}
		cli.Report(env.Err, err)
		if err := env.Ask("Add " + strings.Join(names, " ") + " to a Containerfile of your own for this host?"); err != nil {
			return err
		}
		return addToImage(cmd, env, o, names)
	}
}

func offerToolbox(env *cli.Env, packages []string) (done bool, err error) {
	names := strings.Join(packages, " ")
	n, err := env.Pick("install "+names+" in a toolbox instead? nothing on the host changes", []string{"in a toolbox", "on the host"})
	if errors.Is(err, fail.NeedAnswer) {
		return false, fail.Wrap(fail.NeedAnswer, err, "install %s where", names).
			Hint("on the host: tbx host install --on-host %s", names).
			Hint("in a toolbox: tbx enter, and install it there")
	}
	if err != nil || n == 1 {
		return false, err
	}
	fmt.Fprintf(env.Err, "Nothing was changed. To install %s in your toolbox, use its package manager: tbx enter\n", escape.Text(names))
	return true, nil
}

// addToImage writes packages into the caller's Containerfile for this host. A new
// Containerfile starts from the host's present system.
func addToImage(cmd *cobra.Command, env *cli.Env, o *hostOptions, packages []string) error {
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	dir := "/etc/tbx/host"
	if os.Geteuid() != 0 {
		user, err := toolbox.LookAtHost(env.Environ)
		if err != nil {
			return err
		}
		dir = filepath.Join(user.Dirs.Config, "host")
	}
	file := filepath.Join(dir, "Containerfile")
	added, err := h.AddToContainerfile(cmd.Context(), file, packages)
	if err != nil {
		return err
	}
	if len(added) == 0 {
		fmt.Fprintf(env.Out, "Unchanged: %s has them already\n", escape.Text(file))
	} else {
		fmt.Fprintf(env.Out, "Added %s to %s\n", escape.Text(strings.Join(added, " ")), escape.Text(file))
	}
	fmt.Fprintf(env.Err, "Build it and boot it next: sudo tbx host build %s\n", cli.ShellQuote(dir))
	return nil
}
