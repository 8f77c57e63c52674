package hostbridge

import (
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// verb is an action that a toolbox may ask for without naming a command. tbx checks the
// arguments and chooses the command, so that a policy can allow a verb where it denies
// commands.
type verb struct {
	build  func(v verbCall) ([]string, error) // the host command; its errors are fail.Usage or fail.Unable
	launch bool                               // its children outlive the terminal: no pty, not ended with the client
	file   bool                               // the last argument is a file, passed as a descriptor
	most   float64                            // times that a toolbox may ask for it at once, and then in a minute; 0: as any request
}

// verbCall holds the parts of a verb's command.
type verbCall struct {
	args []string
	box  Box
	tbx  string   // path of tbx on the host
	path string   // SystemPath
	env  []string // of the host's session
}

var verbs = map[string]verb{ // constant
	"open-url":     {build: openURL, launch: true, most: 20},
	"open-file":    {build: openFile, launch: true, file: true, most: 20},
	"notify":       {build: notify, most: 10},
	"clipboard":    {build: clipboard, launch: true, most: 120},
	"host-status":  {build: tbxCommand("host", "status")},
	"host-upgrade": {build: tbxCommand("host", "upgrade")},
	"toolbox-list": {build: tbxCommand("list")},
	"terminal":     {build: terminal, launch: true, most: 5},
}

// verbLimits returns the limits of one toolbox, by verb. They keep it from filling the
// owner's screen.
func verbLimits() map[string]*bucket {
	out := map[string]*bucket{}
	for name, v := range verbs {
		if v.most > 0 {
			out[name] = &bucket{burst: v.most, perSec: v.most / 60}
		}
	}
	return out
}

// Verbs lists the names of the verbs, sorted.
func Verbs() []string {
	var out []string
	for name := range verbs {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// pick returns the first of some commands that the host has.
func (v verbCall) pick(what string, candidates ...[]string) ([]string, error) {
	var tried []string
	for _, c := range candidates {
		if p, err := Resolve(c[0], v.path); err == nil {
			return append([]string{p.Found}, c[1:]...), nil
		}
		tried = append(tried, c[0])
	}
	return nil, fail.New(fail.Unable, "the host has no program to %s", what).
		Hint("install one of these on the host: %s", strings.Join(tried, ", "))
}

const maxURL = 8 << 10 // bytes

func openURL(v verbCall) ([]string, error) {
	if len(v.args) != 1 || len(v.args[0]) > maxURL {
		return nil, fail.New(fail.Usage, "open-url takes one address of at most 8 KiB")
	}
	raw := v.args[0]
	if strings.ContainsFunc(raw, func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) ||
			r == unicode.ReplacementChar || strings.ContainsRune("\"'`<>\\^{|}", r)
	}) {
		return nil, fail.New(fail.Usage, "%s: an address may not hold spaces, quotes or control characters", escape.Quote(raw))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fail.New(fail.Usage, "%s: not an address", escape.Quote(raw))
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Opaque == "":
	case u.Scheme == "mailto" && u.Opaque != "" && u.Host == "":
	default:
		return nil, fail.New(fail.Usage, "%s: only http, https and mailto addresses are opened on the host", escape.Quote(raw))
	}
	if u.User != nil { // https://bank.example@evil.example is of evil.example
		return nil, fail.New(fail.Usage, "%s: an address may not hold a user before its host", escape.Quote(raw))
	}
	if u.Scheme == "mailto" {
		if err := plainMail(u); err != nil {
			return nil, err
		}
	}
	for _, r := range u.Host {
		if r > unicode.MaxASCII { // looks like another name; browsers take the encoded form
			return nil, fail.New(fail.Usage, "%s: write the host's name in its xn-- form", escape.Quote(raw))
		}
	}
	return v.pick("open an address", []string{"xdg-open", raw}, []string{"gio", "open", raw})
}

// plainMail refuses header fields of a mail address that do more than set text, RFC 6068
// section 4: some mail programs attach a file that it names.
func plainMail(u *url.URL) error {
	fields, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fail.New(fail.Usage, "%s: not an address of a mail", escape.Quote(u.String()))
	}
	for name := range fields {
		if !slices.Contains([]string{"to", "cc", "bcc", "subject", "body", "in-reply-to"}, strings.ToLower(name)) {
			return fail.New(fail.Usage, "%s: a mail may not come with %s", escape.Quote(u.String()), escape.Quote(name))
		}
	}
	return nil
}

// openFile's argument is replaced by the file's name on the host, by the runner.
func openFile(v verbCall) ([]string, error) {
	if len(v.args) != 1 || !strings.HasPrefix(v.args[0], "/") {
		return nil, fail.New(fail.Usage, "open-file takes one absolute path")
	}
	if !v.box.shared(v.args[0]) {
		return nil, fail.New(fail.Unable, "%s: this toolbox does not share that file with the host", escape.Quote(v.args[0]))
	}
	return v.pick("open a file", []string{"xdg-open", v.args[0]}, []string{"gio", "open", v.args[0]})
}

const maxNotice = 1024 // bytes of each text

func notify(v verbCall) ([]string, error) {
	if len(v.args) < 1 || len(v.args) > 2 || v.args[0] == "" {
		return nil, fail.New(fail.Usage, "notify takes a summary and, if you like, a text")
	}
	cmd := []string{"notify-send", "--app-name=tbx", "--", "[" + v.box.Name + "] "}
	for i, s := range v.args {
		if len(s) > maxNotice {
			return nil, fail.New(fail.Usage, "notify takes texts of at most 1 KiB")
		}
		s = escape.Text(s)
		if i == 0 {
			cmd[3] += s
			continue
		}
		cmd = append(cmd, noticeBody(s))
	}
	return v.pick("show a notification", cmd)
}

func clipboard(v verbCall) ([]string, error) {
	if len(v.args) != 1 || v.args[0] != "copy" && v.args[0] != "paste" {
		return nil, fail.New(fail.Usage, "clipboard takes copy, which reads standard input, or paste, which writes standard output")
	}
	wayland, x11 := []string{"wl-copy"}, []string{"xclip", "-selection", "clipboard", "-in"}
	if v.args[0] == "paste" {
		wayland, x11 = []string{"wl-paste", "--no-newline"}, []string{"xclip", "-selection", "clipboard", "-out"}
	}
	switch {
	case envset.First(v.env, "WAYLAND_DISPLAY") != "":
		return v.pick("reach the clipboard", wayland)
	case envset.First(v.env, "DISPLAY") != "":
		return v.pick("reach the clipboard", x11)
	}
	return nil, fail.New(fail.Unable, "the host's session has no clipboard: neither WAYLAND_DISPLAY nor DISPLAY is set")
}

// tbxCommand is a verb that runs a command of tbx. It accepts the output format and
// nothing else.
func tbxCommand(words ...string) func(verbCall) ([]string, error) {
	return func(v verbCall) ([]string, error) {
		if v.tbx == "" {
			return nil, fail.New(fail.Unable, "the agent does not know where tbx is on the host")
		}
		if len(v.args) > 0 && !slices.Equal(v.args, []string{"--format", "json"}) {
			return nil, fail.New(fail.Usage, "%s takes no argument but --format json", strings.Join(words, " "))
		}
		return slices.Concat([]string{v.tbx}, words, v.args), nil
	}
}

// terminal opens a terminal window on the host in which the toolbox is entered.
func terminal(v verbCall) ([]string, error) {
	if len(v.args) != 0 {
		return nil, fail.New(fail.Usage, "terminal takes no argument")
	}
	if v.tbx == "" {
		return nil, fail.New(fail.Unable, "the agent does not know where tbx is on the host")
	}
	enter := []string{v.tbx, "enter", v.box.Name}
	var candidates [][]string
	for _, with := range [][]string{
		{"xdg-terminal-exec"}, {"ptyxis", "--"}, {"gnome-terminal", "--"}, {"konsole", "-e"}, {"kitty"}, {"foot"},
		{"alacritty", "-e"}, {"xterm", "-e"},
	} {
		candidates = append(candidates, slices.Concat(with, enter))
	}
	return v.pick("open a terminal window", candidates...)
}
