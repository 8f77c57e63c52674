package convert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Result is a declaration, and what of the original is not in it.
type Result struct {
	Text string
	Left []string // sentences, with the line of the original
}

// left remembers what is not taken over.
func (r *Result) left(line int, format string, args ...any) {
	r.Left = append(r.Left, "line "+strconv.Itoa(line)+": "+fmt.Sprintf(format, args...))
}

// box is a toolbox that is written.
type box struct {
	name, extends         string
	image, containerfile  string
	home, hostname        string
	memory, cpus          string
	packages              []string
	volumes, env, without []string
	setup, setupUser      []string
	files                 []copied
}

// copied is a file beside the original that is copied in.
type copied struct{ source, path, mode string }

// head begins a declaration and says what is not in it.
func (r *Result) head(from string) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by tbx import from %s. Look through it, then: tbx plan\n", comment(from))
	for _, l := range r.Left {
		fmt.Fprintf(&b, "# Not taken over, %s\n", comment(l))
	}
	r.Text = b.String() + "\n" + r.Text
}

// comment keeps a text on its line.
func comment(s string) string { return strings.Join(strings.Fields(s), " ") }

// write appends a toolbox.
func (r *Result) write(x *box) {
	var b strings.Builder
	if r.Text != "" {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "[toolbox.%s]\n", quotedKey(x.name))
	for _, v := range []struct{ key, value string }{
		{"extends", x.extends}, {"image", x.image}, {"containerfile", x.containerfile}, {"hostname", x.hostname}, {"home", x.home},
		{"memory", x.memory}, {"cpus", x.cpus},
	} {
		if v.value != "" {
			fmt.Fprintf(&b, "%s = %s\n", v.key, quoted(v.value))
		}
	}
	for _, v := range []struct {
		key    string
		values []string
	}{
		{"packages", x.packages}, {"volumes", x.volumes}, {"env", x.env}, {"without", x.without}, {"setup", x.setup}, {"setup_user", x.setupUser},
	} {
		list(&b, v.key, v.values)
	}
	for _, f := range x.files {
		fmt.Fprintf(&b, "[toolbox.%s.files.%s]\nsource = %s\n", quotedKey(x.name), quoted(f.path), quoted(f.source))
		if f.mode != "" {
			fmt.Fprintf(&b, "mode = %s\n", quoted(f.mode))
		}
	}
	r.Text += b.String()
}

// list writes a list of strings, a line each where there are several.
func list(b *strings.Builder, key string, values []string) {
	switch len(values) {
	case 0:
	case 1:
		fmt.Fprintf(b, "%s = [%s]\n", key, quoted(values[0]))
	default:
		fmt.Fprintf(b, "%s = [\n", key)
		for _, v := range values {
			fmt.Fprintf(b, "  %s,\n", quoted(v))
		}
		b.WriteString("]\n")
	}
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func quotedKey(s string) string {
	if bareKey.MatchString(s) {
		return s
	}
	return quoted(s)
}

// quoted writes a string as TOML has it: literally where that is easier to read.
func quoted(s string) string {
	control := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f })
	switch {
	case strings.Contains(s, "\n") && !control && !strings.Contains(s, "'''") && !strings.HasSuffix(s, "'"):
		return "'''\n" + s + "'''"
	case strings.ContainsAny(s, `"\`) && !strings.ContainsAny(s, "'\n") && !control:
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var (
	ourVariable = regexp.MustCompile(`\$(HOME|USER)\b|\$\{(HOME|USER)\}`)
	shellBrace  = regexp.MustCompile(`\$\{`)
)

// value makes a value with shell variables one of a declaration: those that it has too stay,
// and others are taken literally.
func value(s string) string {
	s = ourVariable.ReplaceAllString(s, "\x00${1}${2}\x01")
	s = shellBrace.ReplaceAllLiteralString(s, "$${")
	return strings.NewReplacer("\x00", "${", "\x01", "}").Replace(s)
}
