package converge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// silence is how long a package manager may say nothing.
const silence = 10 * time.Minute

// filler brings packages, files and commands into a toolbox.
type filler struct {
	*Converger
	*Step
	dir string // of the declaration
	run packages.Runner
}

// fillIn brings into a toolbox what its step says, and stops it again if it did not run.
func (c *Converger) fillIn(ctx context.Context, f *declare.File, s *Step) (err error) {
	if len(s.Install)+len(s.Drop)+len(s.Files)+len(s.Setup) == 0 {
		return nil
	}
	x := &filler{Converger: c, Step: s, dir: filepath.Dir(f.Path), run: c.Inside(s.Name, s.box.Isolated())}
	if s.box.State != toolbox.Running {
		defer func() {
			err = errors.Join(err, c.Provisioner.Toolboxes.StopIdle(context.WithoutCancel(ctx), s.Name))
		}()
	}
	for _, step := range []func(context.Context) error{x.packages, x.files, x.setup} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (x *filler) stage(format string, args ...any) func(line string) {
	what := fmt.Sprintf(format, args...)
	p := x.Provisioner.Toolboxes.Progress
	p.Stage(what)
	return func(line string) { p.Update(what, "  "+cut(line)) }
}

// cut shortens a line to what a terminal may show.
func cut(line string) string {
	const most = 100
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}

// packages installs and removes. What was there before is not the declaration's to remove.
func (x *filler) packages(ctx context.Context) error {
	if len(x.Install)+len(x.Drop) == 0 {
		return nil
	}
	said := x.stage("looking at the packages of toolbox %s", x.Name)
	sys, err := packages.Open(ctx, x.run)
	if err != nil {
		return err
	}
	sys.Silence, sys.Said = silence, said
	x.record.Manager = sys.Name
	want := packagesOf(x.want, sys.Name)
	install := slices.DeleteFunc(slices.Clone(want), func(n string) bool { _, ok := x.record.Packages[n]; return ok })
	if len(install) > 0 {
		there, err := sys.AskedFor(ctx)
		if err != nil {
			return err
		}
		sys.Said = x.stage("installing %s in toolbox %s", strings.Join(install, ", "), x.Name)
		if err := sys.Add(ctx, install); err != nil {
			return err
		}
		if x.record.Packages == nil {
			x.record.Packages = map[string]bool{}
		}
		for _, name := range install {
			x.record.Packages[name] = !slices.Contains(there, bare(name))
		}
		if err := x.save(x.Step); err != nil {
			return err
		}
	}
	var drop []string
	for _, name := range sortedKeys(x.record.Packages) {
		if !slices.Contains(want, name) && x.record.Packages[name] {
			drop = append(drop, name)
		}
	}
	if len(drop) > 0 {
		if err := x.drop(ctx, sys, drop); err != nil {
			return err
		}
	}
	maps.DeleteFunc(x.record.Packages, func(name string, _ bool) bool { return !slices.Contains(want, name) })
	return x.save(x.Step)
}

// bare is the name of a package without version, architecture and repository.
func bare(name string) string {
	if i := strings.IndexAny(name, "=~:@"); i > 0 {
		name = name[:i]
	}
	return name
}

// drop removes packages, after a question where others would go along.
func (x *filler) drop(ctx context.Context, sys *packages.System, names []string) error {
	would, err := sys.WouldDrop(ctx, names)
	if errors.Is(err, fail.NotFound) {
		return nil // somebody has removed them before
	}
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Remove %s from toolbox %s?", strings.Join(names, ", "), x.Name)
	if err := x.Ask(question, strings.Split(strings.TrimSpace(would), "\n")); err != nil {
		return err
	}
	sys.Said = x.stage("removing %s from toolbox %s", strings.Join(names, ", "), x.Name)
	return sys.Drop(ctx, names)
}

// writeScript writes its input to $1 with the mode $2. What is there, is other and was
// not written by tbx ($3 is new) is kept beside it.
const writeScript = `set -e
p=$1; d=${p%/*}
if [ -d "$p" ] && [ ! -L "$p" ]; then echo "$p is a directory" >&2; exit 1; fi
umask 022; mkdir -p "${d:-/}"
umask 077; t=$p.tbx-new; rm -f "$t"; cat >"$t"; chmod "$2" "$t"
if [ "$3" = new ] && { [ -e "$p" ] || [ -L "$p" ]; } && [ ! -e "$p.before-tbx" ] && ! cmp -s "$t" "$p"; then
	cp -P -p "$p" "$p.before-tbx"
fi
mv -f "$t" "$p"`

// removeScript removes $1 if its content has the SHA-256 $2, and brings back what was there
// before. It ends with changed for a file that is other.
const removeScript = `set -e
p=$1
if [ -e "$p" ] || [ -L "$p" ]; then
	s=$(sha256sum <"$p"); [ "${s%% *}" = "$2" ] || exit 9
	rm -f "$p"
fi
if [ -e "$p.before-tbx" ] || [ -L "$p.before-tbx" ]; then mv -f "$p.before-tbx" "$p"; fi`

const changed = 9

func (x *filler) files(ctx context.Context) error {
	for _, change := range x.Files {
		said := x.stage("writing files in toolbox %s", x.Name)
		if change.Remove {
			if err := x.removeFile(ctx, change.Path, said); err != nil {
				return err
			}
			continue
		}
		f := &x.want.Files[slices.IndexFunc(x.want.Files, func(f declare.FileIn) bool { return f.Path == change.Path })]
		state := "new"
		if _, ok := x.record.Files[f.Path]; ok {
			state = "ours"
		}
		cmd := packages.Command{Args: []string{"sh", "-c", writeScript, "sh", f.Path, octal(f.Mode), state}, In: bytes.NewReader(f.Content)}
		if code, err := x.call(ctx, cmd, "file "+escape.Text(f.Path)+" cannot be written", said); err != nil || code != 0 {
			return err
		}
		if x.record.Files == nil {
			x.record.Files = map[string]written{}
		}
		sum := sha256.Sum256(f.Content)
		x.record.Files[f.Path] = written{f.Hash(), hex.EncodeToString(sum[:])}
		if err := x.save(x.Step); err != nil {
			return err
		}
	}
	return nil
}

func (x *filler) removeFile(ctx context.Context, path string, said func(string)) error {
	cmd := packages.Command{Args: []string{"sh", "-c", removeScript, "sh", path, x.record.Files[path].Sum}}
	code, err := x.call(ctx, cmd, "file "+escape.Text(path)+" cannot be removed", said, changed)
	if err != nil {
		return err
	}
	if code == changed {
		x.warn("file "+path+" of toolbox "+string(x.Name)+" was changed since it was written, and stays", "")
	}
	delete(x.record.Files, path)
	return x.save(x.Step)
}

// setup runs the commands that have not run yet, in their order.
func (x *filler) setup(ctx context.Context) error {
	for _, s := range x.want.Setup {
		hash := s.Hash()
		if slices.Contains(x.record.Setup, hash) {
			continue
		}
		line, _, _ := strings.Cut(strings.TrimSpace(s.Text), "\n")
		said := x.stage("running in toolbox %s: %s", x.Name, escape.Text(cut(line)))
		// As a shell reads it: the directory need not be there inside.
		const script = `cd "$1" 2>/dev/null || cd; exec sh -ec "$2"`
		cmd := packages.Command{Args: []string{"sh", "-c", script, "sh", "/", s.Text}, AsUser: s.AsUser, Whole: true}
		if s.AsUser {
			cmd.Args[4] = x.dir
		}
		if _, err := x.call(ctx, cmd, "setup command "+escape.Quote(cut(line))+" failed", said); err != nil {
			return err
		}
		x.record.Setup = append(x.record.Setup, hash)
		if err := x.save(x.Step); err != nil {
			return err
		}
	}
	return nil
}

// call runs a command. Codes other than 0 and fine are an error that says what and ends
// with the last lines of the command.
func (x *filler) call(ctx context.Context, cmd packages.Command, what string, said func(string), fine ...int) (int, error) {
	t := &tail{said: said}
	code, err := x.run(ctx, cmd, t, t)
	switch {
	case ctx.Err() != nil:
		return code, fail.Wrap(fail.Canceled, errors.New("interrupted"), "%s", what)
	case err != nil:
		return code, fail.Wrap(nil, err, "%s", what)
	case code != 0 && !slices.Contains(fine, code):
		e := fail.New(nil, "%s (exit code %d)", what, code)
		if last := t.last(); last != "" {
			e.Cause = errors.New(escape.Text(last))
		}
		return code, e.Hint("look into it with: tbx enter %s", x.Name)
	}
	return code, nil
}

// tail keeps the last lines of what a command writes, and shows them one by one.
type tail struct {
	mu    sync.Mutex
	rest  string
	lines []string
	said  func(string)
}

var _ io.Writer = (*tail)(nil)

// Write takes lines apart.
func (t *tail) Write(p []byte) (int, error) {
	const most, longest = 5, 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest += string(p)
	for {
		i := strings.IndexAny(t.rest, "\r\n")
		if i < 0 && len(t.rest) > longest {
			i = longest
		}
		if i < 0 {
			return len(p), nil
		}
		line := strings.TrimSpace(t.rest[:i])
		t.rest = t.rest[i+1:]
		if line == "" {
			continue
		}
		t.said(line)
		t.lines = append(t.lines, line)
		t.lines = t.lines[max(0, len(t.lines)-most):]
	}
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rest := strings.TrimSpace(t.rest); rest != "" {
		t.lines, t.rest = append(t.lines, rest), ""
	}
	return strings.Join(t.lines, " / ")
}
