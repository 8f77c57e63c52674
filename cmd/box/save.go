package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/savefile"
)

// NewSave returns `tbx save`; snapshots completes the names of a toolbox's snapshots.
func NewSave(env *fetch.Env, snapshots func(name string) cobra.CompletionFunc) *cobra.Command {
	o := provision.SaveOptions{}
	cmd := &cobra.Command{
		Use:         "save [flags] NAME FILE",
		Annotations: cli.Quietly(),
		Short:       "Write a toolbox with everything in it to one file",
		Long: `Write a toolbox to one file: its settings and everything installed and changed in it.
tbx load makes a toolbox from the file, on this machine or another. The FILE - means
standard output.

The file names the image by its digest, so tbx load needs the image there already or in
its registry; --with-image puts it into the file. A toolbox's own home is left out unless
you give --with-home. The home that it shares with you is never in the file.

A running toolbox stands still for a moment, while tbx copies the last changes. Whoever
has the file can read everything in the toolbox, secrets too.`,
		Example: `  tbx save build build.tbx
  tbx save --with-image --snapshot good build /media/stick/build.tbx
  tbx save build - | ssh laptop tbx load --yes -`,
		Args: cli.Exactly(2, "the name of a toolbox and a file"),
		RunE: func(cmd *cobra.Command, args []string) error { return runSave(cmd.Context(), env, args, o) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return cli.Files(cmd, args, word)
			}
			return cli.OnlyFirst(env.CompleteToolboxes)(cmd, args, word)
		},
	}
	f := cmd.Flags()
	snapshotFlag(cmd, &o.Snapshot, "save the toolbox as it was at this `SNAPSHOT`", snapshots)
	f.BoolVar(&o.WithImage, "with-image", false, "put the image into the file too")
	f.BoolVar(&o.WithHome, "with-home", false, "put the toolbox's own home into the file too; the toolbox must be stopped")
	return cmd
}

func runSave(ctx context.Context, env *fetch.Env, args []string, o provision.SaveOptions) error {
	name, err := toolbox.ParseName(args[0])
	if err != nil {
		return err
	}
	if o.Snapshot != "" {
		if o.Snapshot, err = toolbox.ParseSnapshotName(o.Snapshot); err != nil {
			return err
		}
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	path := args[1]
	if path == "-" {
		if cli.IsTerminal(env.Out) {
			return fail.New(fail.Usage, "a saved toolbox cannot be written to a terminal").
				Hint("name a file, or pass it on: tbx save %s - | ssh HOST tbx load -", name)
		}
		_, err := p.Save(ctx, name, o, env.Out)
		return err
	}
	replace := false
	if _, err := os.Lstat(path); err == nil {
		if err := env.Ask(path + " is there already. Replace it?"); err != nil {
			return err
		}
		replace = true
	}
	var made *savefile.Manifest
	err = atomicfile.Stream(path, replace, func(w io.Writer) (err error) {
		made, err = p.Save(ctx, name, o, w)
		return err
	})
	var at *fs.PathError
	if errors.As(err, &at) {
		return fail.Wrap(nil, at.Err, "%s cannot be written", escape.Text(path)).
			Hint("check that you may write in %s, and its free space: df -h", escape.Text(filepath.Dir(path)))
	}
	if err != nil {
		return err
	}
	env.Progress().Close()
	size := int64(0)
	if st, err := os.Stat(path); err == nil {
		size = st.Size()
	}
	fmt.Fprintf(env.Out, "Saved toolbox %s: %s in %s, a file of %s\nMake a toolbox of it with: tbx load %s\n",
		name, bytesize.Text(made.Bytes), cli.Plural(int(made.Entries), "file"), bytesize.Text(size), escape.Text(path))
	return nil
}
