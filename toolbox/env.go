package toolbox

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/toolbox/join"
)

// Variables of the caller are forwarded unless their exact name is listed here.
// A prefix would catch a stranger's variable sooner or later.

// hostOnly are variables that mean something on the host alone.
var hostOnly = []string{
	// The shell's own state.
	"PATH", "PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME", "HOST", "HOSTTYPE", "MACHTYPE", "OSTYPE", "PS1", "PROMPT_COMMAND", "BASH_ENV", "ENV", "FPATH", "ZDOTDIR",
	// Who the user is: the toolbox knows.
	"HOME", "USER", "LOGNAME", "SHELL", "MAIL", "UID", "XDG_RUNTIME_DIR",
	// Paths into the host's programs and libraries.
	"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "GCONV_PATH", "LOCPATH", "NLSPATH", "MANPATH", "INFOPATH",
	"XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "TERMINFO_DIRS", "GI_TYPELIB_PATH", "GIO_EXTRA_MODULES", "GTK_PATH", "QT_PLUGIN_PATH", "PYTHONHOME", "LOCALE_ARCHIVE",
	// What systemd tells the one process that it started, systemd.exec(5).
	"INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET", "MANAGERPID", "MANAGERPIDFDID", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY",
	// A descriptor's number, which the command does not have.
	"WAYLAND_SOCKET",
	// Another container's, or another session's.
	"container", "CONTAINER_ID", "TBX_TOOLBOX", "TBX_PROMPT", "TBX_TITLE", "TBX_BRIDGE", "TBX_SESSION",
}

// byIntegration are variables that belong to an integration and go with it.
var byIntegration = map[string]string{
	"DISPLAY": X11, "XAUTHORITY": X11, "ICEAUTHORITY": X11,
	"WAYLAND_DISPLAY": Wayland,
	"PULSE_SERVER":    Audio, "PULSE_COOKIE": Audio, "PIPEWIRE_RUNTIME_DIR": Audio, "PIPEWIRE_REMOTE": Audio,
	"DBUS_SESSION_BUS_ADDRESS": SessionBus, "DBUS_SYSTEM_BUS_ADDRESS": SystemBus,
	"SSH_AUTH_SOCK": SSHAgent, "SSH_AGENT_PID": SSHAgent,
	"GPG_AGENT_INFO": GPGAgent, "GPG_TTY": GPGAgent,
	"LANG": Locale, "LANGUAGE": Locale, "LC_ALL": Locale, "LC_ADDRESS": Locale, "LC_COLLATE": Locale, "LC_CTYPE": Locale,
	"LC_IDENTIFICATION": Locale, "LC_MEASUREMENT": Locale, "LC_MESSAGES": Locale, "LC_MONETARY": Locale, "LC_NAME": Locale,
	"LC_NUMERIC": Locale, "LC_PAPER": Locale, "LC_TELEPHONE": Locale, "LC_TIME": Locale,
	"TZ":       Timezone,
	"TERMINFO": Terminfo,
}

// always are forwarded even without the integration "environment": a terminal
// cannot be used without them, and host and toolbox that call each other are
// stopped by the count in the last.
var always = []string{"TERM", "COLORTERM", "COLUMNS", "LINES", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "VTE_VERSION", "NO_COLOR", "TBX_HOST_DEPTH"}

// holdPaths are variables whose value is, or holds behind one of these words, a
// path of the host that may have to be looked for in the host view.
var holdPaths = map[string][]string{
	"XAUTHORITY": {""}, "ICEAUTHORITY": {""}, "SSH_AUTH_SOCK": {""}, "PULSE_COOKIE": {""}, "PIPEWIRE_RUNTIME_DIR": {""},
	"WAYLAND_DISPLAY": {""}, "GPG_AGENT_INFO": {""}, "KRB5CCNAME": {"FILE:", "DIR:", ""}, "TERMINFO": {""},
	"PULSE_SERVER": {"unix:", ""}, "DBUS_SESSION_BUS_ADDRESS": {"unix:path="}, "DBUS_SYSTEM_BUS_ADDRESS": {"unix:path="},
}

// EnvOptions is what a call of run or enter says about the environment.
type EnvOptions struct {
	Set    []string // NAME=VALUE, or NAME for the caller's value
	Block  []string // exact names that the user's configuration holds back
	Root   bool     // for the toolbox's root
	Dir    string   // working directory inside
	Shell  string   // login shell inside; empty: none
	Bridge []string // NAME=VALUE of the bridge to the host, if it works
	Prompt string   // what the shell's prompt shows, %s for the name; empty: nothing
}

// SessionEnv composes the environment of a session from the container's and the
// caller's.
func SessionEnv(r *join.Record, caller []string, o EnvOptions) []string {
	env := newEnviron(r.Env)
	for _, kv := range caller {
		name, value, ok := strings.Cut(kv, "=")
		if ok && forwarded(name, r.Without, o.Block) && (!r.Isolated || reachesIsolated(name)) {
			env.set(name, boxValue(r, name, value))
		}
	}
	if !r.Isolated { // whose home is another
		env.set("PATH", mergePath(env.get("PATH"), lookup(caller, "PATH"), r.Home))
	}
	if len(o.Bridge) > 0 && !o.Root { // host commands by name; what the toolbox has itself comes first
		env.set("PATH", env.get("PATH")+":"+ShimDir)
	}
	env.set("TBX_TOOLBOX", r.Name)
	if o.Prompt != "" {
		env.set("TBX_PROMPT", strings.ReplaceAll(o.Prompt, "%s", r.Name))
	}
	if dirs := env.get("TERMINFO_DIRS"); r.HostFiles && !slices.Contains(r.Without, Terminfo) && dirs != terminfoDirs {
		env.set("TERMINFO_DIRS", dirs+terminfoDirs)
	}
	env.set("SHELL", o.Shell)
	env.set("HOME", r.Home)
	if o.Root {
		env.set("HOME", "/root")
		env.set("USER", "root")
		env.set("LOGNAME", "root")
	}
	env.set("PWD", o.Dir)
	for _, kv := range slices.Concat(o.Bridge, o.Set) {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			if !slices.ContainsFunc(caller, func(c string) bool { return strings.HasPrefix(c, name+"=") }) {
				continue
			}
			value = lookup(caller, name)
		}
		env.set(name, value)
	}
	return env.list
}

func forwarded(name string, without, block []string) bool {
	switch integration, known := byIntegration[name]; {
	case name == "" || slices.Contains(block, name):
		return false
	case slices.Contains(hostOnly, name):
		return false
	case known:
		return !slices.Contains(without, integration)
	case slices.Contains(always, name):
		return true
	}
	return !slices.Contains(without, Environment)
}

// reachesIsolated says whether a variable that is forwarded reaches an isolated
// toolbox too: what the terminal can do, what the locale and time zone say, and how
// deep host and toolbox have called each other.
func reachesIsolated(name string) bool {
	switch byIntegration[name] {
	case Locale, Timezone:
		return true
	}
	return slices.Contains([]string{"TERM", "COLORTERM", "NO_COLOR", "TBX_HOST_DEPTH"}, name)
}

// boxValue is the value of a variable as it is right inside.
func boxValue(r *join.Record, name, value string) string {
	for _, word := range holdPaths[name] {
		path, ok := strings.CutPrefix(value, word)
		if !ok || !filepath.IsAbs(path) {
			continue
		}
		rest := ""
		if i := strings.IndexAny(path, ",;"); i >= 0 { // more keys, or more addresses
			path, rest = path[:i], path[i:]
		}
		return word + r.BoxPath(path) + rest
	}
	return value
}

// mergePath puts the directories of the caller's PATH that lie in the shared
// home around the toolbox's own: in front if the caller has them before the
// system's, else behind.
func mergePath(box, host, home string) string {
	var front, back []string
	system := false
	for _, dir := range filepath.SplitList(host) {
		switch {
		case strings.HasPrefix(dir, home+"/"):
			if system {
				back = append(back, dir)
			} else {
				front = append(front, dir)
			}
		case dir == "/usr/bin" || dir == "/bin":
			system = true
		}
	}
	var out []string
	for _, dir := range slices.Concat(front, filepath.SplitList(box), back) {
		if dir != "" && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return strings.Join(out, ":")
}

// environ is a list of name=value in which a name stands once.
type environ struct {
	list  []string
	index map[string]int
}

func newEnviron(list []string) *environ {
	e := &environ{index: map[string]int{}}
	for _, kv := range list {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.set(name, value)
		}
	}
	return e
}

func (e *environ) set(name, value string) {
	if i, ok := e.index[name]; ok {
		e.list[i] = name + "=" + value
		return
	}
	e.index[name] = len(e.list)
	e.list = append(e.list, name+"="+value)
}

func (e *environ) get(name string) string {
	if i, ok := e.index[name]; ok {
		return e.list[i][len(name)+1:]
	}
	return ""
}
