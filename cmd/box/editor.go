package box

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

// editByHand lets the user edit a copy of the specification, and offers the text again
// while it is not valid. If the edit is not carried out, the text is kept.
func editByHand(ctx context.Context, env *fetch.Env, p *provision.Provisioner, r toolbox.EditRequest, o *editOptions) error {
	m := p.Toolboxes
	b, err := m.Find(ctx, r.Name)
	if err != nil {
		return err
	}
	base, err := m.Settings(b)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tbx-edit-")
	if err != nil {
		return fail.Wrap(nil, err, "there is no place for a temporary file").Hint("set TMPDIR to a directory of yours")
	}
	file := filepath.Join(dir, string(r.Name)+".toml")
	text := toolbox.SpecText(r.Name, base)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	for {
		if err := callEditor(ctx, env, file); err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if string(data) == text {
			os.RemoveAll(dir)
			fmt.Fprintf(env.Err, "tbx: nothing was changed in the text, so toolbox %s stays as it is\n", r.Name)
			return nil
		}
		r.Change = m.FromText(r.Name, base, file, string(data))
		_, err = r.Change(base)
		if err == nil {
			err = carryOutEdit(ctx, env, p, r, o)
		}
		if err == nil {
			os.RemoveAll(dir)
			return nil
		}
		if !cli.IsTerminal(env.In) || !cli.IsTerminal(env.Err) || ctx.Err() != nil {
			return fail.Wrap(nil, err, "toolbox %s is as it was", r.Name).Hint("your text is in %s", file)
		}
		cli.Report(env.Err, err)
		if err := env.Ask("Edit the text again?"); err != nil {
			return fail.Wrap(fail.Canceled, err, "toolbox %s is as it was", r.Name).Hint("your text is in %s", file)
		}
	}
}

// callEditor runs the user's editor. Like other programs it tries VISUAL, EDITOR, then
// vi. The variables may hold arguments.
func callEditor(ctx context.Context, env *fetch.Env, file string) error {
	editor := cmp.Or(strings.TrimSpace(env.Getenv("VISUAL")), strings.TrimSpace(env.Getenv("EDITOR")), "vi")
	words := strings.Fields(editor)
	program := words[0]
	if !filepath.IsAbs(program) {
		var err error
		if program, err = hostprog.Look(program); err != nil {
			return fail.Wrap(fail.Unable, err, "the editor %s cannot be found", escape.Quote(editor)).Hint("set EDITOR to your editor")
		}
	}
	env.Progress().Close()
	cmd := exec.CommandContext(ctx, program, append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.In, env.Err, env.Err
	if err := cmd.Run(); err != nil {
		return fail.Wrap(nil, err, "the editor %s failed, so nothing is changed", escape.Quote(editor)).Hint("your text is in %s", file)
	}
	return nil
}
