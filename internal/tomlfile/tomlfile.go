// Package tomlfile reads settings files in TOML strictly: an unknown key is an error, and
// an error names file, line and, if known, column, and the key that was probably meant.
// It must not know any setting, nor open a file.
package tomlfile

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/nearest"
)

// Error is one mistake in a file.
type Error struct {
	File string // as shown to the user
	Line int
	Col  int      // 0 if the parser does not tell
	Text string   // what is wrong
	Key  string   // the unknown key, if that is the mistake
	Near []string // known keys that may have been meant
}

// Error is FILE:LINE:COL: TEXT.
func (e *Error) Error() string {
	at := e.File + ":" + strconv.Itoa(e.Line)
	if e.Col > 0 {
		at += ":" + strconv.Itoa(e.Col)
	}
	return at + ": " + e.Text
}

// DidYouMean returns a hint with the keys that may have been meant, or "".
func (e *Error) DidYouMean() string {
	if len(e.Near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(e.Near, ", ") + "?"
}

// File is a file that was parsed.
type File struct {
	shown, text string
	meta        toml.MetaData
	into        reflect.Type
}

// Parse decodes text into v, a pointer. name is for messages. An error is an *Error.
// Unknown keys are not looked for yet: Unknown does that.
func Parse(name string, text []byte, v any) (*File, error) {
	f := &File{shown: escape.Text(name), text: string(text), into: reflect.TypeOf(v).Elem()}
	meta, err := toml.Decode(f.text, v)
	f.meta = meta
	return f, f.explain(err)
}

// Decode is Parse and Unknown.
func Decode(name string, text []byte, v any) error {
	f, err := Parse(name, text, v)
	if err != nil {
		return err
	}
	return f.Unknown()
}

// Keys returns the keys that the file sets, in their order.
func (f *File) Keys() [][]string {
	var out [][]string
	for _, k := range f.meta.Keys() {
		out = append(out, k)
	}
	return out
}

// Part decodes the part that Parse left undecoded into v, a pointer.
func (f *File) Part(raw toml.Primitive, v any) error { return f.meta.PrimitiveDecode(raw, v) }

// Unknown returns an *Error for the first key that nothing was decoded from, or nil. It
// suggests one of further, the plain keys that Part decodes, or a key that Parse decodes.
func (f *File) Unknown(further ...string) error {
	if len(f.meta.Undecoded()) == 0 {
		return nil
	}
	key := f.meta.Undecoded()[0]
	near := nearest.Names(key[len(key)-1], further)
	if len(near) == 0 {
		near = nearest.Names(key.String(), keys(f.into, key, ""))
	}
	return &Error{File: f.shown, Line: f.Line(key...), Key: key.String(),
		Text: "there is no key " + escape.Quote(key.String()), Near: near}
}

// inText takes `line 3 (last key "a.b"): what is wrong` apart.
var inText = regexp.MustCompile(`^line (\d+) (.*)$`)

// explain turns an error of the library into an *Error.
func (f *File) explain(err error) error {
	if err == nil {
		return nil
	}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		text := parse.Message
		if text == "" {
			text = strings.TrimPrefix(parse.Error(), "toml: ")
		}
		return &Error{File: f.shown, Line: parse.Position.Line, Col: parse.Position.Col, Text: escape.Text(text)}
	}
	// A value of the wrong type: the library puts the line into its text only.
	e := &Error{File: f.shown, Line: 1, Text: escape.Text(strings.TrimPrefix(err.Error(), "toml: "))}
	if m := inText.FindStringSubmatch(e.Text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Text = m[2]
	}
	return e
}

// keys lists the dotted names of the fields of t. For a table with names of its own, a
// map, the name in key stands.
func keys(t reflect.Type, key toml.Key, prefix string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Map && len(key) > 0:
		name := prefix + key[0]
		return append(keys(t.Elem(), key[1:], name+"."), name)
	case t.Kind() != reflect.Struct:
		return nil
	}
	var out []string
	inner := key
	if len(key) > 0 {
		inner = key[1:]
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name == "" && t.Field(i).Anonymous { // its fields are the table's own
			out = append(out, keys(t.Field(i).Type, key, prefix)...)
		}
		if name == "" || name == "-" {
			continue
		}
		out = append(out, prefix+name)
		out = append(out, keys(t.Field(i).Type, inner, prefix+name+".")...)
	}
	return out
}

var header = regexp.MustCompile(`^\s*\[+([^\]]+)\]`)

// Line returns the line that sets a key, or 1. The library knows it while it parses, but
// does not tell. So this looks at the text, and may mistake a line of a multi-line string
// for the key.
func (f *File) Line(key ...string) int {
	whole, parent := toml.Key(key).String(), toml.Key(key[:len(key)-1]).String()
	assign := regexp.MustCompile(fmt.Sprintf(`^\s*(?:[\w."'-]+\.)?["']?%s["']?\s*(=|\.)`, regexp.QuoteMeta(key[len(key)-1])))
	table := ""
	for i, line := range strings.Split(f.text, "\n") {
		if m := header.FindStringSubmatch(line); m != nil {
			table = strings.Trim(m[1], "[] ")
			if table == whole || strings.HasPrefix(table, whole+".") {
				return i + 1
			}
			continue
		}
		if assign.MatchString(line) && (table == parent || table == "" || strings.HasPrefix(parent, table+".")) {
			return i + 1
		}
	}
	return 1
}
