package declare

import (
	"bytes"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/declare/project"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
	"github.com/tbx-project/tbx/internal/tomlfile"
	"github.com/tbx-project/tbx/toolbox"
)

// File is a declaration that was read and checked.
type File struct {
	Path  string // absolute
	Hash  string // of the content, see project.Hash
	Enter toolbox.Name
	Boxes []Box    // by name
	Notes []string // what is in the file and not used
}

// Caller is who reads a file: what the variables HOME and USER are.
type Caller struct{ Home, User string }

// maxBoxes is how many toolboxes a file may have.
const maxBoxes = 200

// Parse reads the declaration at path, which is absolute, of that content. An error is of
// kind fail.Usage and names file, line and key; one of kind fail.NotFound or fail.Unable
// is of a file that it names.
func Parse(path string, content []byte, who Caller) (*File, error) {
	p := &parser{path: path, dir: filepath.Dir(path), who: who, whole: map[string]*entry{}, depth: map[string]int{}}
	if i := bytes.IndexByte(content, 0); i >= 0 {
		return nil, p.bad(1+bytes.Count(content[:i], []byte{'\n'}), "there is a NUL character").Hint("the file must be text")
	}
	if err := p.decode(content); err != nil {
		return nil, err
	}
	if err := p.variables(); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(p.doc.Toolbox))
	if len(names) > maxBoxes {
		return nil, p.bad(1, "there are %d toolboxes, and a file may have %d", len(names), maxBoxes).Hint("put some into another file")
	}
	for _, name := range names {
		if err := p.check(name, p.doc.Toolbox[name]); err != nil {
			return nil, err
		}
	}
	f := &File{Path: path, Hash: project.Hash(content)}
	for _, name := range names {
		e, err := p.merged(name, nil)
		if err != nil {
			return nil, err
		}
		if e.Template {
			continue
		}
		b, err := p.box(name, e)
		if err != nil {
			return nil, err
		}
		if e.Exports != nil {
			f.Notes = append(f.Notes, "exports of toolbox "+name+" are not used: this tbx cannot export yet")
		}
		f.Boxes = append(f.Boxes, *b)
	}
	if len(f.Boxes) == 0 {
		return nil, p.bad(1, "no toolbox is declared").Hint("begin with a line such as: [toolbox.dev]")
	}
	return f, p.enter(f)
}

// parser is the state of Parse.
type parser struct {
	path, dir string
	who       Caller
	text      *tomlfile.File
	doc       document
	vars      map[string]string
	whole     map[string]*entry // with what they extend
	depth     map[string]int    // of those in whole
	read      int               // bytes of files
}

// bad is a mistake in a line.
func (p *parser) bad(line int, format string, args ...any) *fail.Error {
	e := fail.New(fail.Usage, format, args...)
	return fail.Wrap(fail.Usage, &tomlfile.Error{File: escape.Text(p.path), Line: line, Text: e.Msg}, "")
}

// badKey is a mistake in a value of a toolbox.
func (p *parser) badKey(name, key, format string, args ...any) *fail.Error {
	return p.bad(p.text.Line("toolbox", name, key), format, args...)
}

// in puts the place of a key before an error and keeps its hints.
func (p *parser) in(name, key string, err error) error {
	e := p.badKey(name, key, "%s", err.Error())
	for _, h := range fail.Hints(err) {
		e.Hint("%s", h)
	}
	return e
}

func (p *parser) decode(content []byte) error {
	var err error
	p.text, err = tomlfile.Parse(p.path, content, &p.doc)
	if err == nil {
		err = p.text.Unknown()
	}
	var mistake *tomlfile.Error
	if !errors.As(err, &mistake) {
		return err
	}
	e := fail.Wrap(fail.Usage, mistake, "")
	if near := mistake.DidYouMean(); near != "" {
		return e.Hint("%s", near)
	}
	return e.Hint("correct that line; docs/apply.md lists the keys")
}

// enter settles which toolbox tbx enter means.
func (p *parser) enter(f *File) error {
	var names []string
	for _, b := range f.Boxes {
		names = append(names, string(b.Name))
	}
	switch {
	case p.doc.Enter == "" && len(names) == 1:
		f.Enter = f.Boxes[0].Name
	case p.doc.Enter == "":
	case slices.Contains(names, p.doc.Enter):
		f.Enter = toolbox.Name(p.doc.Enter)
	default:
		return didYouMean(p.bad(p.text.Line("enter"), "enter: the file declares no toolbox %s", escape.Quote(p.doc.Enter)), p.doc.Enter, names)
	}
	return nil
}

// didYouMean adds the nearest of the known words, or all.
func didYouMean(e *fail.Error, word string, known []string) *fail.Error {
	if near := nearest.Names(word, known); len(near) > 0 {
		return e.Hint("did you mean %s?", strings.Join(near, ", "))
	}
	return e.Hint("there are: %s", strings.Join(known, ", "))
}
