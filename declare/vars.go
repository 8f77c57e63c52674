package declare

import (
	"maps"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

var variableName = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// How long a variable's value and a value with variables may be, in bytes.
const (
	maxVariable = 4 << 10
	maxValue    = 32 << 10
)

// variables settles what ${NAME} stands for: HOME, USER, and those of [vars], whose values
// may have the first two.
func (p *parser) variables() error {
	given := map[string]string{"HOME": p.who.Home, "USER": p.who.User}
	p.vars = maps.Clone(given)
	for _, name := range slices.Sorted(maps.Keys(p.doc.Vars)) {
		line := p.text.Line("vars", name)
		if !variableName().MatchString(name) {
			return p.bad(line, "%s cannot be a variable's name", escape.Quote(name)).Hint("use letters, digits and '_', and begin with a letter")
		}
		if _, ok := given[name]; ok {
			return p.bad(line, "the variable %s is given, and cannot be another", name).Hint("choose another name")
		}
		value, err := expand(p.doc.Vars[name], given)
		if err == nil && len(value) > maxVariable {
			err = fail.New(fail.Usage, "it is longer than %d bytes", maxVariable)
		}
		if err != nil {
			return p.placed(line, "variable "+name, err)
		}
		p.vars[name] = value
	}
	return nil
}

// placed puts file, line and what is meant before an error, and keeps its hints.
func (p *parser) placed(line int, what string, err error) error {
	e := p.bad(line, "%s: %s", what, err.Error())
	for _, h := range fail.Hints(err) {
		e.Hint("%s", h)
	}
	return e
}

// expand puts in the values of ${NAME}. $${ stands for ${ itself.
func expand(s string, vars map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if b.Len() > maxValue {
			return "", fail.New(fail.Usage, "with its variables it is longer than %d bytes", maxValue)
		}
		if !found {
			return b.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			b.WriteString("{")
			s = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fail.New(fail.Usage, "${ has no } behind it").Hint("write $${ for the two characters themselves")
		}
		value, known := vars[name]
		if !known {
			return "", didYouMean(fail.New(fail.Usage, "there is no variable %s", escape.Quote(name)), name, slices.Sorted(maps.Keys(vars))).
				Hint("a file sees HOME, USER and what it declares in [vars], and nothing of the environment")
		}
		b.WriteString(value)
		s = after
	}
}

// expandAll expands values in place.
func (p *parser) expandAll(name, key string, values ...*string) error {
	for _, v := range values {
		s, err := expand(*v, p.vars)
		if err != nil {
			return p.placed(p.text.Line("toolbox", name, key), key, err)
		}
		*v = s
	}
	return nil
}
