package convert

import (
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
)

// manifestKeys are the keys of distrobox assemble, distrobox-assemble(1), with what is said
// of those that have no counterpart; "" for those that are taken over or need nothing.
var manifestKeys = map[string]string{
	"additional_packages": "", "image": "", "home": "", "hostname": "", "volume": "", "include": "", "init_hooks": "", "pre_init_hooks": "",
	"additional_flags": "", "replace": "", "start_now": "", "pull": "",
	"nvidia":             "toolboxes have the host's GPUs anyway",
	"entry":              "tbx makes no entries in menus",
	"clone":              "clone the toolbox first: tbx clone",
	"init":               "tbx starts no init in a toolbox",
	"root":               "toolboxes are of an ordinary user",
	"exported_apps":      "tbx cannot export yet",
	"exported_bins":      "tbx cannot export yet",
	"exported_bins_path": "tbx cannot export yet",
	"unshare_groups":     "see without and isolated in docs/apply.md",
	"unshare_ipc":        "see isolated in docs/apply.md",
	"unshare_netns":      "see isolated in docs/apply.md",
	"unshare_process":    "see isolated in docs/apply.md",
	"unshare_devsys":     "see without and isolated in docs/apply.md",
	"unshare_all":        "see isolated in docs/apply.md",
}

// assignment is KEY=VALUE of a section.
type assignment struct {
	line       int
	key, value string
}

// section is one container of the manifest.
type section struct {
	name string
	set  []assignment
}

// Distrobox converts the manifest of distrobox assemble. name is for messages. A mistake
// is of kind fail.Usage, with its line.
func Distrobox(name, text string) (*Result, error) {
	sections, err := readINI(name, text)
	if err != nil {
		return nil, err
	}
	if len(sections) == 0 {
		return nil, fail.New(fail.Usage, "%s: there is no [section] in it", escape.Text(name)).
			Hint("a manifest has a line such as [dev] for each container")
	}
	r := &Result{}
	for _, s := range sections {
		x := &box{name: s.name}
		for _, a := range s.set {
			if err := r.assign(name, x, a); err != nil {
				return nil, err
			}
		}
		r.write(x)
	}
	r.head(name)
	return r, nil
}

// readINI reads sections. Values may be in quotes; a # outside of them begins a comment.
func readINI(name, text string) ([]section, error) {
	var out []section
	for i, line := range strings.Split(text, "\n") {
		bad := func(why string) error {
			return fail.New(fail.Usage, "%s:%d: %s", escape.Text(name), i+1, why).Hint("correct that line")
		}
		line = strings.TrimSpace(withoutComment(line))
		switch {
		case line == "":
		case strings.HasPrefix(line, "["):
			if !strings.HasSuffix(line, "]") || len(line) < 3 {
				return nil, bad("a section is written as [name]")
			}
			out = append(out, section{name: strings.TrimSpace(line[1 : len(line)-1])})
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, bad("neither [name] nor key=value")
			}
			if len(out) == 0 {
				return nil, bad("there is no [name] before it")
			}
			value, ok = unquoted(strings.TrimSpace(value))
			if !ok {
				return nil, bad("the quote has no end")
			}
			s := &out[len(out)-1]
			s.set = append(s.set, assignment{i + 1, strings.TrimSpace(key), value})
		}
	}
	return out, nil
}

func withoutComment(line string) string {
	quote := byte(0)
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

func unquoted(s string) (string, bool) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return s, true
	}
	if len(s) < 2 || s[len(s)-1] != s[0] {
		return s, false
	}
	return s[1 : len(s)-1], true
}

// assign takes over one key.
func (r *Result) assign(file string, x *box, a assignment) error {
	why, known := manifestKeys[a.key]
	if !known {
		e := fail.New(fail.Usage, "%s:%d: distrobox has no key %s", escape.Text(file), a.line, escape.Quote(a.key))
		var all []string
		for k := range manifestKeys {
			all = append(all, k)
		}
		if near := nearest.Names(a.key, all); len(near) > 0 {
			e.Hint("did you mean %s?", strings.Join(near, ", "))
		}
		return e.Hint("correct that line")
	}
	if on, err := strconv.ParseBool(a.value); err == nil && !on && why != "" {
		return nil // it is off
	}
	switch a.key {
	case "image":
		x.image = value(a.value)
	case "home":
		x.home = value(a.value)
	case "hostname":
		x.hostname = value(a.value)
	case "include":
		x.extends = a.value
	case "additional_packages":
		x.packages = append(x.packages, strings.Fields(a.value)...)
	case "volume":
		for _, v := range strings.Fields(a.value) {
			x.volumes = append(x.volumes, value(v))
		}
	case "init_hooks":
		x.setup = append(x.setup, a.value)
	case "pre_init_hooks":
		x.setup = append(x.setup, a.value)
		r.left(a.line, "%s runs after the packages are installed, and once", a.key)
	case "additional_flags":
		r.flags(x, a)
	default:
		if why != "" {
			r.left(a.line, "%s: %s", a.key, why)
		}
	}
	return nil
}

// flags takes over those options of podman create that a declaration has a key for.
func (r *Result) flags(x *box, a assignment) {
	words := strings.Fields(a.value)
	for i := 0; i < len(words); i++ {
		flag, v, joined := strings.Cut(words[i], "=")
		takes := map[string]func(string){
			"--env": func(v string) { x.env = append(x.env, value(v)) }, "--volume": func(v string) { x.volumes = append(x.volumes, value(v)) },
			"--hostname": func(v string) { x.hostname = value(v) },
			"--memory":   func(v string) { x.memory = v }, "--cpus": func(v string) { x.cpus = v },
		}
		short := map[string]string{"-e": "--env", "-v": "--volume", "-h": "--hostname", "-m": "--memory"}
		if long, ok := short[flag]; ok {
			flag = long
		}
		take := takes[flag]
		if take == nil {
			r.left(a.line, "the option %s of podman", words[i])
			continue
		}
		if !joined {
			if i++; i == len(words) {
				r.left(a.line, "the option %s has no value", flag)
				return
			}
			v = words[i]
		}
		take(strings.Trim(v, `"'`))
	}
}
