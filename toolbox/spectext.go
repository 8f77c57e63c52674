package toolbox

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
)

// SpecText is a specification for a user to edit.
func SpecText(name Name, s *Spec) string {
	return "# Settings of the toolbox " + string(name) + ". The keys are in docs/spec.md.\n" +
		"# version, id, created, image, image_id, isolated and adopted stay as they are.\n" + string(s.encode())
}

// FromText returns the Change of an EditRequest that sets the user's text, edited from
// SpecText of base. file names the text in errors.
func (m *Manager) FromText(name Name, base *Spec, file, text string) func(*Spec) (*Spec, error) {
	return func(now *Spec) (*Spec, error) {
		if now.Hash() != base.Hash() {
			return nil, fail.New(nil, "toolbox %s was edited by another tbx meanwhile", name).
				Hint("edit it again: your text is in %s", file)
		}
		s, err := parseSpec(file, text)
		if err != nil {
			return nil, err
		}
		for _, d := range differences(base, s) {
			switch d.Key {
			case "version", "id", "created", "image", "image_id", "adopted":
				return nil, fail.New(fail.Usage, "%s:%d: %s cannot be changed by an edit", file, lineOfKey(text, d.Key), d.Key).
					Hint("write there again: %s", strings.TrimSpace(lineWith(string(base.encode()), d.Key)))
			case "isolated":
				return nil, fail.New(fail.Usage, "%s:%d: a toolbox cannot change between isolated and not isolated", file, lineOfKey(text, d.Key)).
					Hint("make another with: tbx create --isolated")
			}
		}
		return m.settings(name, now, optionsOf(name, s))
	}
}

// typeError takes "line 3 (last key "a"): what is wrong" of the TOML library apart.
var typeError = regexp.MustCompile(`^line (\d+) (.*)$`)

// parseSpec reads the text of a specification strictly.
func parseSpec(file, text string) (*Spec, error) {
	s := &Spec{}
	meta, err := toml.Decode(text, s)
	var parse toml.ParseError
	switch {
	case errors.As(err, &parse):
		return nil, fail.New(fail.Usage, "%s:%d:%d: %s", file, parse.Position.Line, parse.Position.Col, parse.Message).Hint("correct that line")
	case err != nil: // a value of the wrong type
		line, msg := "1", strings.TrimPrefix(err.Error(), "toml: ")
		if m := typeError.FindStringSubmatch(msg); m != nil {
			line, msg = m[1], m[2]
		}
		return nil, fail.New(fail.Usage, "%s:%s: %s", file, line, msg).Hint("correct that line")
	case len(meta.Undecoded()) > 0:
		key := meta.Undecoded()[0].String()
		err := fail.New(fail.Usage, "%s:%d: there is no key %q in a specification", file, lineOfKey(text, key), key)
		if near := nearest.Names(key, specKeys()); len(near) > 0 {
			return nil, err.Hint("did you mean %s?", strings.Join(near, ", "))
		}
		return nil, err.Hint("there are: %s", strings.Join(specKeys(), ", "))
	}
	return s, nil
}

// specKeys are the keys of a specification.
func specKeys() []string {
	var out []string
	t := reflect.TypeFor[Spec]()
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ","); key != "" && key != "-" {
			out = append(out, key)
		}
	}
	return out
}

// lineOfKey returns the line that sets a key, which the TOML library does not tell; or
// the last line.
func lineOfKey(text, key string) int {
	first, _, _ := strings.Cut(key, ".")
	assign := regexp.MustCompile(fmt.Sprintf(`^\s*\[*["']?%s["']?\s*[=.\]]`, regexp.QuoteMeta(first)))
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if assign.MatchString(line) {
			return i + 1
		}
	}
	return len(lines)
}

func lineWith(text, key string) string {
	return strings.Split(text, "\n")[lineOfKey(text, key)-1]
}
