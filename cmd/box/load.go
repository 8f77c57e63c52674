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
		Short:       "Make a toolbox of a file that tbx save wrote",
		Long: `Make a toolbox of a file that tbx save wrote: with its settings and with all that it
held. With the FILE - it is read from standard input.

A file from somebody else is a toolbox from somebody else: what is in it runs as you.
What the toolbox will have of this machine is shown, and you are asked before anything is
made. The file is checked to its end before there is a toolbox; its digest says that the
file is what was written, and not who wrote it.

The image is the one that the toolbox was made from: the one that is here, in the file,
or fetched from its registry by its digest. The toolbox is another one to the policy of
host commands than the one that was saved.`,
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
	f.StringVar(&name, "name", "", "call the toolbox `NAME`, instead of what it was called")
	f.StringVar(&o.Home, "home", "", "use this `DIRECTORY` of the host as the home, and put a home in the file there")
	f.BoolVar(&o.NoShares, "no-shares", false, "leave away the volumes, directories and home of this machine that the file wants")
	f.BoolVar(&o.CheckOnly, "dry-run", false, "check the file, show what would be made, and make nothing")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	f.BoolVar(&o.UnsignedOK, "unsigned-ok", false, "take the image even if signatures are required and nobody vouches for it")
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
		return fail.New(fail.Usage, "a saved toolbox cannot be typed").Hint("name a file, or: ssh HOST tbx save NAME - | tbx load --yes -")
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
	env.TellRules(string(name), "counts for this one")
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

// agree shows what a file is, and asks whether a toolbox is to be made of it.
func agree(env *fetch.Env, s *toolbox.Saved, showOnly bool) error {
	out := env.Err
	switch {
	case showOnly:
		out = env.Out
	case env.Yes && !cli.IsTerminal(env.Err):
		return nil // a script has agreed beforehand
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
	return env.Ask(fmt.Sprintf("Make toolbox %s of it?", s.Draft.Name))
}
