package face

import (
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// version is that of the distrobox whose calls are understood, as programs ask for it.
const version = "1.8"

// distrobox translates a call of distrobox; words begin with the verb.
func distrobox(words []string, home string) (Call, error) {
	for len(words) > 0 && (words[0] == "--verbose" || words[0] == "-v") {
		words = words[1:]
	}
	if len(words) == 0 {
		return Call{Args: []string{"--help"}}, nil
	}
	verb, rest := words[0], words[1:]
	switch verb {
	case "version", "--version", "-V":
		return Call{Print: "distrobox: " + version}, nil
	case "help", "--help", "-h":
		return Call{Args: []string{"--help"}}, nil
	case "ls":
		verb = "list"
	case "host-exec":
		return Call{Args: append([]string{"host-exec"}, rest...)}, nil
	case "assemble":
		return Call{}, refuse(verb, "make toolboxes of that file by: tbx import FILE >tbx.toml, then tbx apply")
	case "export", "generate-entry":
		return Call{}, refuse(verb, "")
	}
	t, ok := verbs[verb]
	if !ok {
		return Call{}, fail.New(fail.Usage, "distrobox has no command %q", verb).
			Hint("tbx understands: create, enter, ephemeral, list, rm, stop, upgrade, version")
	}
	p, err := t.flags.parse(verb, rest)
	if err != nil {
		return Call{}, err
	}
	if p.has("help") {
		return Call{Args: []string{t.tbx, "--help"}}, nil
	}
	if p.has("root") {
		return Call{}, refuse(verb+" --root", "toolboxes of tbx are yours, without root; be root inside by: tbx enter --root NAME")
	}
	out, err := t.translate(p, home)
	return Call{Args: out}, err
}

// verbs are the commands that are translated. Every one knows common besides its own flags.
var verbs = map[string]struct { // constant
	tbx       string
	flags     flags
	translate func(p parsed, home string) ([]string, error)
}{
	"create": {"create", createFlags, create},
	"enter":  {"enter", enterFlags, enter},
	"ephemeral": {"enter", merged(createFlags, enterFlags), func(p parsed, home string) ([]string, error) {
		made, err := createOptions(p)
		if err != nil {
			return nil, err
		}
		return session(p, home, append([]string{"--ephemeral"}, made...))
	}},
	"list": {"list", flags{"no-color": ignored}, func(parsed, string) ([]string, error) {
		return []string{"list", "--columns", "distrobox"}, nil
	}},
	"rm":      {"rm", flags{"force f": yes, "yes Y": yes, "all a": yes, "rm-home": ignored, "name n": word}, named("rm")},
	"stop":    {"stop", flags{"yes Y": ignored, "all a": yes, "name n": word}, named("stop")},
	"upgrade": {"upgrade", flags{"all a": yes, "yes Y": ignored, "name n": word, "running": refused}, named("upgrade")},
}

var common = flags{"help h": yes, "root r": yes, "verbose v": ignored} // constant

var enterFlags = flags{ // constant
	"name n": word, "no-tty T": yes, "H": yes, "no-workdir nw": yes, "additional-flags a": word,
	"yes Y y": ignored, "dry-run d": refused, "clean-path": refused,
}

var createFlags = flags{ // constant
	"image i": word, "name n": word, "hostname": word, "home H": word, "volume": words, "clone c": word,
	"pull p": yes, "yes Y": yes, "compatibility C": yes, "dry-run d": yes,
	"no-entry": ignored, "nvidia": ignored, "absolutely-disable-root-password-i-am-really-positively-sure": ignored,
	"additional-packages ap": word, "additional-flags a": word,
	"init I": refused, "init-hooks": refused, "pre-init-hooks": refused, "platform": refused,
	"unshare-all": refused, "unshare-devsys": refused, "unshare-groups": refused, "unshare-ipc": refused, "unshare-netns": refused,
	"unshare-process": refused,
}

func create(p parsed, _ string) ([]string, error) {
	if p.has("compatibility") {
		return []string{"image", "list", "--names"}, nil
	}
	name := p.name()
	if from := p.value("clone"); from != "" {
		if name == "" {
			return nil, fail.New(fail.Usage, "distrobox create --clone %s: the new toolbox wants a name", from).Hint("add: --name NAME")
		}
		return []string{"clone", from, name}, nil
	}
	out, err := createOptions(p)
	if err != nil {
		return nil, err
	}
	if name == "" && p.value("image") == "" {
		name = "my-distrobox"
	}
	out = append([]string{"create"}, out...)
	if name != "" {
		out = append(out, name)
	}
	return out, nil
}

// createOptions are the flags of tbx create for those of distrobox create.
func createOptions(p parsed) ([]string, error) {
	if more := p.value("additional-packages"); more != "" {
		return nil, refuse("create --additional-packages", "install them afterwards: tbx install "+more)
	}
	if more := p.value("additional-flags"); more != "" {
		return nil, refuse("create --additional-flags", "see what a toolbox can be given: tbx create --help")
	}
	var out []string
	for _, name := range []string{"image", "hostname", "home"} {
		if v := p.value(name); v != "" {
			out = append(out, "--"+name, v)
		}
	}
	for _, v := range p.values["volume"] {
		out = append(out, "--volume", v)
	}
	for _, name := range []string{"yes", "dry-run"} {
		if p.has(name) {
			out = append(out, "--"+name)
		}
	}
	if p.has("pull") {
		out = append(out, "--pull", "always")
	}
	return out, nil
}

func enter(p parsed, home string) ([]string, error) {
	name := p.name()
	if name == "" {
		return nil, fail.New(fail.Usage, "distrobox enter wants the name of a toolbox").Hint("see which there are: distrobox list")
	}
	return session(p, home, []string{"--toolbox", name})
}

// session is tbx enter, or tbx run with the command. first are its first flags.
func session(p parsed, home string, first []string) ([]string, error) {
	terminal, more, err := execFlags(p.value("additional-flags"))
	if err != nil {
		return nil, err
	}
	verb := "enter"
	if len(p.command) > 0 {
		verb = "run"
	}
	out := append([]string{verb}, first...)
	if (p.has("no-tty") || p.has("H")) && !terminal { // both together mean a terminal, as Ptyxis calls it
		out = append(out, "--no-tty")
	}
	if p.has("no-workdir") {
		out = append(out, "--workdir", home)
	}
	out = append(out, more...)
	if verb == "run" {
		out = append(append(out, "--"), p.command...)
	}
	return out, nil
}

// execFlags translates flags of podman exec that terminals pass on in one word.
func execFlags(text string) (terminal bool, out []string, err error) {
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		name, value, joined := strings.Cut(fields[i], "=")
		switch name {
		case "--tty", "-t":
			terminal = true
			continue
		case "--interactive", "-i":
			continue
		case "--env", "-e", "--workdir", "-w", "--preserve-fds":
			if !joined && i+1 < len(fields) {
				i++
				value = fields[i]
			}
			long := map[string]string{"-e": "--env", "-w": "--workdir"}[name]
			if long == "" {
				long = name
			}
			out = append(out, long, value)
			continue
		}
		return false, nil, refuse("--additional-flags "+fields[i], "what a session can have: tbx enter --help")
	}
	return terminal, out, nil
}

// named translates a verb that takes names or --all.
func named(verb string) func(parsed, string) ([]string, error) {
	return func(p parsed, _ string) ([]string, error) {
		out := []string{verb}
		switch {
		case verb == "rm" && p.has("force"):
			out = append(out, "--yes", "--force") // distrobox asks nothing then
		case verb == "rm" && p.has("yes"):
			out = append(out, "--yes")
		}
		if p.has("all") {
			return append(out, "--all"), nil
		}
		names := p.names
		if n := p.value("name"); n != "" {
			names = append([]string{n}, names...)
		}
		if len(names) == 0 {
			return nil, fail.New(fail.Usage, "distrobox %s wants the name of a toolbox, or --all", verb).Hint("see which there are: distrobox list")
		}
		return append(out, names...), nil
	}
}
