package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages returns the manual pages of root and of every command below it, by file
// name, in the macros of man(7). They hold no date and no version, so that they
// change only when what they say does.
func pages(root *cobra.Command) map[string]string {
	out := map[string]string{}
	for _, c := range commands(root) {
		out[pageName(c)+".1"] = page(c)
	}
	return out
}

// commands lists root and the commands below it that a user can call by name.
// cobra's own help command has no page: tbx --help says what it does.
func commands(root *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{root}
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			out = append(out, commands(c)...)
		}
	}
	return out
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func page(c *cobra.Command) string {
	var b strings.Builder
	section := func(title string) { fmt.Fprintf(&b, ".SH %s\n", title) }
	fmt.Fprintf(&b, ".\\\" Written by cmd/gen from the command itself; do not edit.\n")
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"tbx\" \"tbx\"\n", strings.ToUpper(pageName(c)))
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(pageName(c)), roff(c.Short))
	section("SYNOPSIS")
	synopsis := c.UseLine()
	if c.HasAvailableSubCommands() {
		synopsis = c.CommandPath() + " [flags] COMMAND [ARG...]"
	}
	fmt.Fprintf(&b, "%s\n", roff(synopsis))
	section("DESCRIPTION")
	b.WriteString(paragraphs(c.Long))
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, ".PP\nOther names: %s\n", roff(strings.Join(c.Aliases, ", ")))
	}
	if c.HasAvailableSubCommands() {
		section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(sub)), roff(sub.Short))
			}
		}
	}
	b.WriteString(flags("OPTIONS", c.NonInheritedFlags()))
	b.WriteString(flags("OPTIONS OF EVERY COMMAND", c.InheritedFlags()))
	section("EXIT STATUS")
	b.WriteString(exitStatus(c))
	if c.Example != "" {
		section("EXAMPLES")
		fmt.Fprintf(&b, ".EX\n%s\n.EE\n", roff(c.Example))
	}
	if !c.HasParent() {
		section("FILES")
		for _, f := range files {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(f[0]), roff(f[1]))
		}
	}
	section("SEE ALSO")
	also := []string{".BR podman (1)"}
	if c.HasParent() {
		also = slices.Insert(also, 0, ".BR "+roff(pageName(c.Parent()))+" (1),")
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(also, "\n"))
	return b.String()
}

// paragraphs sets text as people write it in a terminal: an empty line ends a
// paragraph, and lines that begin with spaces are kept as they are.
func paragraphs(text string) string {
	var b strings.Builder
	for _, par := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(par, "  ") {
			fmt.Fprintf(&b, ".PP\n.EX\n%s\n.EE\n", roff(par))
		} else {
			fmt.Fprintf(&b, ".PP\n%s\n", roff(par))
		}
	}
	return strings.TrimPrefix(b.String(), ".PP\n")
}

func flags(title string, set *pflag.FlagSet) string {
	var b strings.Builder
	set.SortFlags = false
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(&b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		value, usage := pflag.UnquoteUsage(f)
		if value != "" && f.NoOptDefVal == "" {
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
		}
		if value != "" && f.DefValue != "" && f.NoOptDefVal == "" && f.DefValue != "[]" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, "\n%s\n", roff(usage))
	})
	if b.Len() == 0 {
		return ""
	}
	return ".SH " + title + "\n" + b.String()
}

// files are those that a user may want to find; ARCHITECTURE.md lists them all.
var files = [][2]string{
	{"~/.config/tbx/config.toml", "your settings; /etc/tbx/config.toml is read before it"},
	{"~/.config/tbx/distros.toml", "distributions of your own for --distro; /etc/tbx/distros.toml is read before it"},
	{"~/.config/tbx/toolboxes/NAME.toml", "what the toolbox NAME is made of"},
	{"~/.local/share/tbx/box/", "the program that is the first process of your toolboxes: do not remove it"},
	{"~/.local/state/tbx/log/NAME.log", "how the last start of the toolbox NAME went, for tbx logs"},
}

// roff escapes text for troff: what it would take for a command, and the hyphens
// that must stay ASCII so that options can be copied from the page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
