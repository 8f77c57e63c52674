package convert

import (
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// instruction is one of a Containerfile, Containerfile(5), with its continuation lines.
type instruction struct {
	line       int
	word, rest string
	here       []string // heredocs behind it
}

// Containerfile converts a Containerfile to a toolbox of that name: what it installs are
// packages, what it runs are commands, what it copies are files. One with several stages
// is left to be built. file is how the declaration names it.
func Containerfile(file, text, name string) (*Result, error) {
	all, err := instructions(file, text)
	if err != nil {
		return nil, err
	}
	c := &conversion{Result: &Result{}, box: box{name: name}}
	from := 0
	for _, in := range all {
		if in.word == "FROM" {
			from++
		}
	}
	switch {
	case from == 0:
		return nil, fail.New(fail.Usage, "%s: there is no FROM in it", escape.Text(file)).Hint("is it a Containerfile?")
	case from > 1 || strings.Contains(fromOf(all), "$"):
		c.box.containerfile = "./" + strings.TrimPrefix(file, "./")
		c.head(file + ", which is built as it is: it has several stages, or an image that depends on arguments")
		c.write(&c.box)
		return c.Result, nil
	}
	for _, in := range all {
		c.take(in)
	}
	c.write(&c.box)
	c.head(file)
	return c.Result, nil
}

func fromOf(all []instruction) string {
	for _, in := range all {
		if in.word == "FROM" {
			return in.rest
		}
	}
	return ""
}

var heredoc = regexp.MustCompile(`<<-?["']?([A-Za-z_]\w*)["']?`)

// instructions takes a Containerfile apart.
func instructions(file, text string) ([]instruction, error) {
	var out []instruction
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		in := instruction{line: i + 1}
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			next := strings.TrimSpace(lines[i])
			if strings.HasPrefix(next, "#") || next == "" {
				continue
			}
			line = strings.TrimSpace(strings.TrimSuffix(line, `\`)) + " " + next
		}
		word, rest, _ := strings.Cut(line, " ")
		in.word, in.rest = strings.ToUpper(word), strings.TrimSpace(rest)
		if m := heredoc.FindStringSubmatch(in.rest); m != nil && (in.word == "RUN" || in.word == "COPY") {
			begin := i + 1
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[1]; i++ {
				in.here = append(in.here, lines[i])
			}
			if i == len(lines) {
				return nil, fail.New(fail.Usage, "%s:%d: the text up to %s has no end", escape.Text(file), begin, m[1]).Hint("correct that line")
			}
		}
		out = append(out, in)
	}
	return out, nil
}

// conversion is the state of Containerfile.
type conversion struct {
	*Result
	box  box
	dir  string   // WORKDIR
	user bool     // USER is not root
	vars []string // NAME=VALUE of ARG, before each command
}

func (c *conversion) take(in instruction) {
	switch in.word {
	case "FROM":
		words := strings.Fields(in.rest)
		for len(words) > 1 && strings.HasPrefix(words[0], "--") {
			c.left(in.line, "%s", words[0])
			words = words[1:]
		}
		c.box.image = value(words[0])
	case "ENV":
		c.env(in)
	case "ARG":
		if strings.Contains(in.rest, "=") {
			c.vars = append(c.vars, in.rest)
		} else {
			c.left(in.line, "the argument %s, which has no value", in.rest)
		}
	case "RUN":
		c.run(in)
	case "COPY", "ADD":
		c.copy(in)
	case "WORKDIR":
		c.dir = in.rest
	case "USER":
		c.user = in.rest != "root" && in.rest != "0" && !strings.HasPrefix(in.rest, "0:") && !strings.HasPrefix(in.rest, "root:")
		if c.user {
			c.left(in.line, "USER %s: what it runs, you run", in.rest)
		}
	case "MAINTAINER", "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "VOLUME":
		c.left(in.line, "%s says nothing of what is in a toolbox", in.word)
	default:
		c.left(in.line, "%s", in.word)
	}
}

var assignments = regexp.MustCompile(`([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)`)

func (c *conversion) env(in instruction) {
	first, rest, _ := strings.Cut(in.rest, " ")
	if !strings.Contains(first, "=") { // ENV NAME VALUE
		c.box.env = append(c.box.env, first+"="+value(strings.TrimSpace(rest)))
		return
	}
	for _, m := range assignments.FindAllStringSubmatch(in.rest, -1) {
		v, _ := unquoted(m[2])
		if strings.Contains(v, "$") {
			c.left(in.line, "%s=%s is taken literally, and variables in it are not", m[1], v)
		}
		c.box.env = append(c.box.env, m[1]+"="+value(v))
	}
}

// installs recognises what installs packages, and what is done around it that a toolbox
// does not need.
var (
	installs = []*regexp.Regexp{
		regexp.MustCompile(`^(?:DEBIAN_FRONTEND=\S+ )?apt(?:-get)? (?:-\S+ )*install (.+)$`),
		regexp.MustCompile(`^(?:micro)?dnf (?:-\S+ )*install (.+)$`),
		regexp.MustCompile(`^yum (?:-\S+ )*install (.+)$`),
		regexp.MustCompile(`^apk (?:-\S+ )*add (.+)$`),
		regexp.MustCompile(`^zypper (?:-\S+ )*in(?:stall)? (.+)$`),
		regexp.MustCompile(`^pacman (-Syu?|-S|-Sy) (.+)$`),
		regexp.MustCompile(`^xbps-install (-\S+ .+)$`),
	}
	around = regexp.MustCompile(`^((DEBIAN_FRONTEND=\S+ )?apt(-get)? (-\S+ )*(update|clean|autoclean)|` +
		`(micro)?dnf (-\S+ )*clean all|yum clean all|` +
		`apk update|zypper (-\S+ )*(ref|refresh|clean)( -\S+)*|pacman -Scc?( --noconfirm)?|rm -r?f?r? /var/(lib/apt/lists|cache)\S*)$`)
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@+._:/=~-]*$`)
)

// run takes over a command: as packages, if all of it is about those.
func (c *conversion) run(in instruction) {
	text := in.rest
	for strings.HasPrefix(text, "--") {
		flag, rest, _ := strings.Cut(text, " ")
		c.left(in.line, "%s", flag)
		text = strings.TrimSpace(rest)
	}
	var words []string
	switch {
	case len(in.here) > 0:
		text = strings.Join(in.here, "\n")
	case strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &words) == nil:
		for i, w := range words {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		text = strings.Join(words, " ")
	default:
		if names, ok := packagesIn(text); ok && !c.user {
			c.box.packages = append(c.box.packages, names...)
			return
		}
	}
	text = strings.Join(append(append([]string{}, c.vars...), text), "\n")
	if c.dir != "" {
		text = "mkdir -p '" + c.dir + "' && cd '" + c.dir + "'\n" + text
	}
	if c.user {
		c.box.setupUser = append(c.box.setupUser, text)
		return
	}
	c.box.setup = append(c.box.setup, text)
}

// packagesIn says which packages a command installs, if it does nothing else.
func packagesIn(text string) (names []string, ok bool) {
	for _, part := range regexp.MustCompile(`\s*(?:&&|;)\s*`).Split(text, -1) {
		part = strings.Join(strings.Fields(part), " ")
		if part == "" || around.MatchString(part) {
			continue
		}
		found := false
		for _, in := range installs {
			m := in.FindStringSubmatch(part)
			if m == nil {
				continue
			}
			found = true
			for _, w := range strings.Fields(m[len(m)-1]) {
				switch {
				case strings.HasPrefix(w, "-"):
				case plainName.MatchString(w):
					names = append(names, w)
				default:
					return nil, false
				}
			}
		}
		if !found {
			return nil, false
		}
	}
	return names, true
}

// copy takes over files that are copied one by one to a place that is said in full.
func (c *conversion) copy(in instruction) {
	mode := ""
	words := strings.Fields(in.rest)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		if m, ok := strings.CutPrefix(words[0], "--chmod="); ok {
			mode = m
		} else if words[0] != "--chown=root:root" {
			c.left(in.line, "%s %s", in.word, in.rest)
			return
		}
		words = words[1:]
	}
	ok := len(words) == 2 && len(in.here) == 0 && !strings.ContainsAny(in.rest, `*?[]$"'`) && !strings.Contains(in.rest, "://")
	if ok && !path.IsAbs(words[1]) && c.dir != "" {
		words[1] = path.Join(c.dir, words[1]) + strings.Repeat("/", min(1, strings.Count(words[1], "/")))
	}
	if !ok || !path.IsAbs(words[1]) || path.Clean(words[0]) == "." || strings.HasSuffix(words[0], "/") {
		c.left(in.line, "%s %s: a declaration has single files; mount a directory with volumes", in.word, in.rest)
		return
	}
	at := words[1]
	if strings.HasSuffix(at, "/") {
		at = path.Join(at, path.Base(words[0]))
	}
	c.box.files = append(c.box.files, copied{source: strings.TrimPrefix(path.Clean("/"+words[0]), "/"), path: path.Clean(at), mode: mode})
}
