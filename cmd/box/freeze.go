package box

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

type freezeOptions struct {
	output           string
	include, exclude []string
	noVerify         bool
	quiet            time.Duration
	format           cli.Format
}

// NewFreeze returns `tbx freeze`.
func NewFreeze(env *fetch.Env) *cobra.Command {
	o := &freezeOptions{}
	cmd := &cobra.Command{
		Use:         "freeze [flags] NAME",
		Annotations: cli.Quietly(),
		Short:       "Write what a toolbox consists of as a Containerfile and a lock file",
		Long: `Write what a toolbox consists of to a directory: a lock file with the image's digest,
all packages with their versions, repositories and digests of files, and a Containerfile
that makes an image of it, with what that copies. tbx create --containerfile makes a
toolbox of the directory, here or elsewhere.

What no package brought is taken along, and so are settings that were changed. Homes are
not, nor is what only its owner may read, such as keys, nor files in which there is a
private key or an address with a password, nor devices and sockets. What is left out is
named; --include takes it all the same.

An image is built of it and compared with the toolbox: packages, files, owners. It does
not stay. Repositories that keep only the newest version of a package cannot rebuild an
older one; the lock file says what it was. The same toolbox makes the same bytes.`,
		Example: `  tbx freeze build
  tbx freeze --output ~/src/project/toolbox --exclude /opt/cache build
  tbx create --containerfile ./build.frozen again`,
		Args:              cli.Exactly(1, "the name of a toolbox"),
		RunE:              func(cmd *cobra.Command, args []string) error { return runFreeze(cmd.Context(), env, o, args[0]) },
		ValidArgsFunction: cli.OnlyFirst(env.CompleteToolboxes),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "`DIRECTORY` to write to, instead of NAME.frozen in the current one")
	f.StringArrayVar(&o.include, "include", nil, "take this `PATH` inside though it is private; may be repeated")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out this `PATH` inside, or what fits such a pattern; may be repeated")
	f.BoolVar(&o.noVerify, "no-verify", false, "build no image to compare with the toolbox")
	cli.TimeoutFlag(cmd, &o.quiet)
	cli.FormatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("output", cli.Directories)
	cli.NoCompletion(cmd, "include")
	cli.NoCompletion(cmd, "exclude")
	return cmd
}

func runFreeze(ctx context.Context, env *fetch.Env, o *freezeOptions, arg string) error {
	name, err := toolbox.ParseName(arg)
	if err != nil {
		return err
	}
	if err := cli.CheckTimeout(o.quiet); err != nil {
		return err
	}
	dir := o.output
	if dir == "" {
		dir = string(name) + ".frozen"
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	made, err := p.Freeze(ctx, provision.FreezeRequest{
		Name: name, Dir: dir, Include: o.include, Exclude: o.exclude, Verify: !o.noVerify, Quiet: o.quiet, Said: said(env),
		Agree: func(names []string) error {
			return env.Ask(fmt.Sprintf("%s is there already, with %s. Replace what is there?", escape.Text(dir), strings.Join(names, ", ")))
		},
	})
	if err != nil {
		return err
	}
	env.Progress().Close()
	if err := env.Print(o.format, made, func() error { printFreeze(env, made); return nil }); err != nil {
		return err
	}
	if len(made.Differences) == 0 {
		return nil
	}
	return fail.New(nil, "the image that is built of %s is not what toolbox %s is: %s", escape.Text(dir), name, counted(made.Differences)).
		Hint("they are named above; the files are written, and can be mended by hand")
}

// counted names the first of several.
func counted(all []string) string {
	first := escape.Text(all[0])
	if len(all) == 1 {
		return first
	}
	return fmt.Sprintf("%s, and %d more", first, len(all)-1)
}

func printFreeze(env *fetch.Env, r *provision.FreezeResult) {
	fmt.Fprintf(env.Out, "Froze toolbox %s: %s beside the image's, %s of %s\n",
		r.Toolbox, cli.Plural(len(r.Added), "package"), cli.Plural(len(r.Files), "file"), bytesize.Text(r.Bytes))
	if len(r.Local) > 0 {
		fmt.Fprintf(env.Out, "Packages of no repository, which are in the directory: %s\n", escape.Text(strings.Join(r.Local, " ")))
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintln(env.Out, "Left out:")
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(env.Out, "  %s (%s)\n", escape.Text(l.Path), escape.Text(l.Why))
	}
	if len(r.Differences) > 0 {
		fmt.Fprintln(env.Out, "What was built of it differs:")
	}
	for _, d := range r.Differences {
		fmt.Fprintf(env.Out, "  %s\n", escape.Text(d))
	}
	if r.Verified {
		fmt.Fprintf(env.Out, "An image was built of it, and is the same: %s, %s\n",
			cli.Plural(len(r.Packages), "package"), cli.Plural(len(r.Files), "file"))
	}
	path := r.Directory
	if !filepath.IsAbs(path) {
		path = "./" + filepath.Clean(path)
	}
	fmt.Fprintf(env.Out, "Make a toolbox of it with: tbx create --containerfile %s NEWNAME\n", escape.Text(path))
}
