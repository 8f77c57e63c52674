package face

import (
	"maps"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// kind is what a flag of distrobox's takes, and what becomes of it.
type kind int

const (
	yes     kind = iota + 1 // takes nothing
	word                    // takes a value
	words                   // may be repeated
	ignored                 // takes nothing, and means nothing to tbx
	refused                 // tbx does not have it, whatever it takes
)

// flags are known by the names of a flag, the first of which is the one in parsed; a name
// of one or two letters is written with one dash.
type flags map[string]kind

func merged(all ...flags) flags {
	out := flags{}
	for _, f := range all {
		maps.Copy(out, f)
	}
	return out
}

// parsed is a call: flags with their values, names, and the command behind "--".
type parsed struct {
	values  map[string][]string
	names   []string
	command []string
}

func (p parsed) has(name string) bool { return len(p.values[name]) > 0 }

func (p parsed) value(name string) string {
	if v := p.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// name is the toolbox's, by --name or as the first word.
func (p parsed) name() string {
	if n := p.value("name"); n != "" || len(p.names) == 0 {
		return n
	}
	return p.names[0]
}

// find returns the flag that is written so, and its value if that is joined to it.
func (f flags) find(written string) (name string, k kind, value *string) {
	text, joined, ok := strings.Cut(written, "=")
	for _, all := range []flags{f, common} {
		for names, kind := range all {
			for _, n := range strings.Fields(names) {
				dashed := "--" + n
				if len(n) <= 2 {
					dashed = "-" + n
				}
				if dashed != text {
					continue
				}
				if ok {
					value = &joined
				}
				return strings.Fields(names)[0], kind, value
			}
		}
	}
	return "", 0, nil
}

// parse splits the words behind a verb. Flags may stand behind names; what stands behind
// "--", or behind -e or --exec, is the command.
func (f flags) parse(verb string, args []string) (parsed, error) {
	p := parsed{values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" || (a == "-e" || a == "--exec") && verb != "create" {
			p.command = args[i+1:]
			break
		}
		if !strings.HasPrefix(a, "-") || a == "-" {
			p.names = append(p.names, a)
			continue
		}
		name, k, value := f.find(a)
		switch {
		case k == 0:
			return p, fail.New(fail.Usage, "distrobox %s: tbx does not know the flag %s", verb, a).
				Hint("what tbx understands of distrobox is in docs/faces.md; its own flags: tbx --help")
		case k == refused:
			return p, refuse(verb+" "+a, instead[name])
		case (k == word || k == words) && value == nil:
			if i++; i == len(args) {
				return p, fail.New(fail.Usage, "distrobox %s: %s wants a value", verb, a).Hint("write: %s VALUE", a)
			}
			value = &args[i]
		case k != word && k != words && value != nil:
			return p, fail.New(fail.Usage, "distrobox %s: %s takes no value", verb, a).Hint("write it without what follows the =")
		}
		if k == ignored {
			continue
		}
		if value == nil {
			value = new(string)
		}
		p.values[name] = append(slices.Clone(p.values[name]), *value)
	}
	return p, nil
}

// instead says for a flag that tbx does not have what comes nearest.
var instead = map[string]string{ // constant
	"init":            "services inside are started by: sudo service NAME start",
	"init-hooks":      "commands at creation stand in a declaration: docs/apply.md",
	"pre-init-hooks":  "commands at creation stand in a declaration: docs/apply.md",
	"unshare-all":     "a toolbox that shares what you name, and nothing else: tbx create --isolated",
	"unshare-process": "a toolbox that shares what you name, and nothing else: tbx create --isolated",
	"unshare-netns":   "a toolbox that shares what you name, and nothing else: tbx create --isolated",
	"unshare-ipc":     "a toolbox that shares what you name, and nothing else: tbx create --isolated",
	"dry-run":         "see how a toolbox is entered: tbx -v run NAME -- true",
	"clean-path":      "set the variable: tbx enter --env PATH=/usr/bin:/bin NAME",
	"running":         "name the toolboxes: tbx upgrade NAME...",
}
