package box

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

// NewLoad returns `tbx load`.
func NewLoad(env *fetch.Env) *cobra.Command {
	o := provision.LoadOptions{}
	var name string
	var format cli.Format
	cmd := &cobra.Command{
		Use:         "load [flags] FILE",
		Annotations: cli.Quietly(),
		Short:       "Make a toolbox from a file of tbx save",
		Long: `Make a toolbox from a file that tbx save wrote: with its settings and everything it
held. The FILE - means standard input.

A file from somebody else is a toolbox from somebody else: programs in it run as you.
tbx shows what the toolbox will have of this machine, and asks before it makes anything.
The file is checked to its end before there is a toolbox. Its digest proves that the file
is complete and unchanged, not who wrote it.

The image is the one that the toolbox was made from: it is here already, or in the file,
or tbx fetches it from its registry by its digest. The policy of host commands treats the
toolbox as a new one, not as the one that was saved.`,
		Example: `  tbx load build.tbx
  tbx load --name try --no-shares build.tbx
  tbx load --dry-run build.tbx`,
		Args: cli.Exactly(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if name != "" {
				if o.Name, err = toolbox.ParseName(name); err != nil {
					return err
				}
			}
			return runLoad(cmd.Context(), env, args[0], o, format)
		},
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "the toolbox's `NAME`, instead of its old one")
	f.StringVar(&o.Home, "home", "", "use this `DIRECTORY` of the host as the home, and put the home from the file there")
	f.BoolVar(&o.NoShares, "no-shares", false, "leave out the volumes, directories and home of this machine that the file names")
	f.BoolVar(&o.CheckOnly, "dry-run", false, "check the file, show what would be made, and make nothing")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	f.BoolVar(&o.UnsignedOK, "unsigned-ok", false, "take the image even if a signature is required and it has none")
	cli.FormatFlag(cmd, &format)
	cmd.RegisterFlagCompletionFunc("home", cli.Directories)
	cmd.RegisterFlagCompletionFunc("authfile", cli.Files)
	cli.NoCompletion(cmd, "name")
	return cmd
}

func runLoad(ctx context.Context, env *fetch.Env, path string, o provision.LoadOptions, format cli.Format) error {
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	var in io.Reader = env.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fail.Wrap(fail.NotFound, err, "there is nothing to load").Hint("make a file with: tbx save NAME FILE")
		}
		defer f.Close()
		in = f
	} else if cli.IsTerminal(env.In) {
		return fail.New(fail.Usage, "a saved toolbox cannot be read from a terminal").
			Hint("name a file, or: ssh HOST tbx save NAME - | tbx load --yes -")
	}
	o.Agree = func(s *toolbox.Saved) error { return agree(env, s, o.CheckOnly) }
	name, err := p.Load(ctx, in, o)
	if err != nil {
		return fail.Wrap(nil, err, "%s cannot be loaded", escape.Text(path))
	}
	if o.CheckOnly {
		return nil
	}
	env.Progress().Close()
	env.TellRules(string(name), "applies to this one")
	if format == cli.JSON {
		b, err := p.Toolboxes.Find(ctx, name)
		if err != nil {
			return err
		}
		return cli.PrintJSON(env.Out, rowOf(env, b))
	}
	fmt.Fprintf(env.Out, "Created toolbox: %s\nEnter it with: tbx enter %s\n", name, name)
	return nil
}

// agree shows the contents of a file, and asks whether to make a toolbox from it.
func agree(env *fetch.Env, s *toolbox.Saved, showOnly bool) error {
	out := env.Err
	switch {
	case showOnly:
		out = env.Out
	case env.Yes && !cli.IsTerminal(env.Err):
		return nil // with --yes a script has agreed already
	}
	env.Progress().Close()
	fmt.Fprintf(out, "Toolbox %s, saved %s: %s in %s\nImage:    %s (%.12s)\n",
		escape.Text(s.Toolbox), s.Made.Local().Format("2006-01-02 15:04"), bytesize.Text(s.Bytes), cli.Plural(int(s.Entries), "file"),
		escape.Text(s.Image.Reference), escape.Text(s.Image.ID))
	for i, what := range s.Wants() {
		title := ""
		if i == 0 {
			title = "It has:"
		}
		fmt.Fprintf(out, "%-8s  %s\n", title, what)
	}
	if showOnly || s.Harmless() {
		return nil
	}
	return env.Ask(fmt.Sprintf("Make toolbox %s from it?", s.Draft.Name))
}
