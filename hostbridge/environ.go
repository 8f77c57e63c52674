package hostbridge

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/hostbridge/session"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/variables"
)

// depthVar counts how often a command has crossed from a toolbox to the host.
const depthVar = "TBX_HOST_DEPTH"

// maxDepth ends loops of shims: host, toolbox, host, toolbox…
const maxDepth = 4

// variableName reports whether s can be the name of an environment variable.
func variableName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// neverFromBox reports whether a variable makes a host program run other code, or look
// for code elsewhere. No rule lets one through.
func neverFromBox(name string) bool {
	hasPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return variables.ActsOnPrograms(name) || slices.ContainsFunc([]string{
		"TBX_", "GIT_", "PYTHON", "PERL", "RUBY", "NODE_", "LUA_", "BASH_", "XDG_", "DBUS_", "GTK_", "GDK_", "QT_", "G_", "GIO_",
		"GCONV_", "GLIBC_", "SYSTEMD_", "SSH_", "SUDO_",
	}, hasPrefix) || slices.Contains([]string{
		"PATH", "IFS", "HOME", "SHELL", "USER", "LOGNAME", "TMPDIR", "PAGER", "EDITOR", "VISUAL", "BROWSER", "SHELLOPTS", "PS4",
		"PROMPT_COMMAND", "CDPATH", "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "CONTAINER_HOST", "DOCKER_HOST",
		"LESSOPEN", "LESSCLOSE", "MANPAGER",
	}, name)
}

// fromBox reports whether a variable describes a toolbox's terminal or its user's
// language, so that a command gets the toolbox's.
func fromBox(name string) bool {
	return strings.HasPrefix(name, "LC_") ||
		slices.Contains([]string{"TERM", "COLORTERM", "LANG", "NO_COLOR", "TZ"}, name)
}

// notFromHost reports whether a variable of the host session would be wrong in a new
// command: it belongs to another terminal, shell or service, or acts on the loader.
func notFromHost(name string) bool {
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "TBX_") || session.Passing(name) || slices.Contains([]string{
		"TERM", "COLORTERM", "NO_COLOR", // the toolbox's terminal shows the output
		"WINDOWID", "TMUX", "TMUX_PANE", "STY", "BASH_ENV", "ENV", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
	}, name)
}

// plain reports whether a value has no control character, which could act on a terminal
// or begin a line.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\uFFFD' })
}

// environment is the environment of a command.
type environment struct {
	env     []string // complete, sorted
	extra   []string // NAME=value that came from the toolbox because the rule allows it
	dropped []string // names that did not
}

// environ returns the environment of a command: that of the host session, with the few
// harmless variables of the toolbox on top. extra lists names, or NAME=value, that the
// deciding rule allows besides.
func environ(host, box, extra []string) (environment, error) {
	var out environment
	over := map[string]string{}
	depth := 0
	for _, kv := range box {
		name, value, _ := strings.Cut(kv, "=")
		_, twice := over[name]
		switch {
		case twice: // rules were compared with the first one
			out.dropped = append(out.dropped, name)
		case name == depthVar:
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n >= maxDepth {
				return out, fail.New(fail.Usage, "host commands and toolboxes call each other in a loop").
					Hint("look for a wrapper that calls itself through tbx host-exec")
			}
			depth = n
		case !variableName(name) || neverFromBox(name) || !plain(value):
			out.dropped = append(out.dropped, name)
		case fromBox(name):
			over[name] = value
		case slices.Contains(extra, name) || slices.Contains(extra, kv):
			over[name] = value
			out.extra = append(out.extra, kv)
		default:
			out.dropped = append(out.dropped, name)
		}
	}
	over[depthVar] = strconv.Itoa(depth + 1)
	for _, kv := range host {
		name, _, _ := strings.Cut(kv, "=")
		if _, ok := over[name]; !ok && !notFromHost(name) {
			out.env = append(out.env, kv)
		}
	}
	for name, value := range over {
		out.env = append(out.env, name+"="+value)
	}
	slices.Sort(out.env)
	slices.Sort(out.extra)
	return out, nil
}

// hostPath translates a path of the toolbox to the host's.
func hostPath(box Box, path string) string {
	path = filepath.Clean(path)
	for _, s := range box.Shares {
		if rest, ok := below(path, s.Box); ok {
			return filepath.Join(s.Host, rest)
		}
	}
	if rest, ok := below(path, "/run/host"); ok && !box.Isolated {
		return filepath.Join("/", rest)
	}
	return path
}

func below(path, dir string) (rest string, ok bool) {
	if path == dir {
		return "", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// shared reports whether a path of the toolbox is shared with the host.
func (b Box) shared(path string) bool {
	for _, s := range b.Shares {
		if _, ok := below(filepath.Clean(path), s.Box); ok {
			return true
		}
	}
	return !b.Isolated
}
