package declared

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/declare/convert"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/toolbox"
)

type importOptions struct{ output, name string }

// NewImport returns `tbx import`.
func NewImport(env *fetch.Env) *cobra.Command {
	o := &importOptions{}
	cmd := &cobra.Command{
		Use:         "import [flags] FILE",
		Annotations: cli.Quietly(),
		Short:       "Make a declaration from a manifest of distrobox or a Containerfile",
		Long: `Read a manifest of distrobox assemble, or a Containerfile, and write a declaration with
the same contents for tbx apply. No toolbox is made yet.

Settings without a counterpart are reported on standard error and in comments at the head.
File names in it are relative to the directory of FILE: write the declaration there.`,
		Example: `  tbx import distrobox.ini >boxes.toml
  tbx import --name dev --output tbx.toml Containerfile
  tbx plan tbx.toml`,
		Args:              cli.Exactly(1, "a manifest of distrobox or a Containerfile"),
		RunE:              func(_ *cobra.Command, args []string) error { return runImport(env, o, args[0]) },
		ValidArgsFunction: cli.OnlyFirst(cli.Files),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write to the new `FILE` instead of standard output")
	f.StringVar(&o.name, "name", "", "the toolbox's `NAME`, for a Containerfile; default: the name of its directory")
	cmd.RegisterFlagCompletionFunc("output", cli.Files)
	cli.NoCompletion(cmd, "name")
	return cmd
}

func runImport(env *fetch.Env, o *importOptions, file string) error {
	data, err := ownfile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fail.New(fail.NotFound, "there is no file %s", escape.Text(file))
	}
	if err != nil {
		return err
	}
	if strings.ContainsRune(string(data), 0) {
		return fail.New(fail.Usage, "%s: it is not a text file", escape.Text(file))
	}
	r, err := converted(o, file, string(data))
	if err != nil {
		return err
	}
	for _, l := range r.Left {
		env.Progress().Warn("not taken over, "+l, "")
	}
	if o.output == "" {
		_, err := env.Out.WriteString(r.Text)
		return err
	}
	out, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fail.New(fail.Exists, "%s is there already", escape.Text(o.output)).Hint("write to another file, or move that one away")
	}
	if err != nil {
		return err
	}
	_, err = out.WriteString(r.Text)
	if err = errors.Join(err, out.Close()); err == nil {
		fmt.Fprintf(env.Out, "Written: %s\nSee what it would do with: tbx plan %s\n", escape.Text(o.output), cli.ShellQuote(o.output))
	}
	return err
}

// looksLikeINI and looksLikeBuild recognise the two kinds of file.
var (
	looksLikeINI   = regexp.MustCompile(`(?m)^\s*\[[^\]\n]+\]`)
	looksLikeBuild = regexp.MustCompile(`(?mi)^\s*FROM\s+\S`)
)

func converted(o *importOptions, file, text string) (*convert.Result, error) {
	base := filepath.Base(file)
	switch {
	case strings.HasSuffix(base, ".toml"):
		return nil, fail.New(fail.Usage, "%s is a declaration already", escape.Text(file)).
			Hint("see what it would do: tbx plan %s", cli.ShellQuote(file))
	case looksLikeBuild.MatchString(text) && !looksLikeINI.MatchString(text),
		strings.Contains(strings.ToLower(base), "containerfile"), strings.HasPrefix(base, "Dockerfile"):
		name := o.name
		if name == "" {
			dir, err := filepath.Abs(filepath.Dir(file))
			if err != nil {
				return nil, err
			}
			name = strings.Trim(regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(filepath.Base(dir), "-"), "-_.")
		}
		if _, err := toolbox.ParseName(name); err != nil {
			return nil, err
		}
		return convert.Containerfile(base, text, name)
	case o.name != "":
		return nil, fail.New(fail.Usage, "--name is for a Containerfile; a manifest names its toolboxes itself")
	case looksLikeINI.MatchString(text):
		return convert.Distrobox(base, text)
	}
	return nil, fail.New(fail.Usage, "%s is neither a manifest of distrobox nor a Containerfile", escape.Text(file)).
		Hint("a manifest has lines such as [dev], and a Containerfile begins with FROM")
}
