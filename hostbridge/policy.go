package hostbridge

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/envset"
)

// Action is the decision of a rule.
type Action string

// The actions. Ask asks the owner, on the host.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
	Ask   Action = "ask"
)

// Remember is how long the answer to a question is remembered.
type Remember string

// The durations. RememberAlways writes a rule into the user's policy.
const (
	RememberNone    Remember = "none"
	RememberSession Remember = "session" // until the toolbox stops or the agent ends
	RememberAlways  Remember = "always"
)

// Rule is one [[rule]] of a policy file.
type Rule struct {
	Box      string   `toml:"box"`                // glob over names, or @integrated, @isolated, @any
	Verb     string   `toml:"verb,omitempty"`     // a verb's name or "*"; either this or Exec
	Exec     string   `toml:"exec,omitempty"`     // a name to be found in SystemPath, an absolute path, "*" or "@privileged"
	Args     []string `toml:"args,omitempty"`     // "*" is one argument, a last "**" the rest; absent: any
	Action   Action   `toml:"action"`             //
	TTY      string   `toml:"tty,omitempty"`      // "never": /dev/null in place of terminals; "auto"
	Remember Remember `toml:"remember,omitempty"` // with ask
	Notify   bool     `toml:"notify,omitempty"`   // tell the owner of each use
	// Env are further variables that may come from the toolbox. NAME=value requires this
	// value; NAME= requires that it is unset or empty.
	Env    []string `toml:"env,omitempty"`
	Detach bool     `toml:"detach,omitempty"` // the command may outlive its client
	Cwd    string   `toml:"cwd,omitempty"`    // "home": use it where the working directory is not shared
	Dir    string   `toml:"dir,omitempty"`    // with exec: only in this directory of the host, which has no links in its name

	Where string `toml:"-"` // file:line
}

// Query is a request as the policy sees it.
type Query struct {
	Box      string // the toolbox's name
	Isolated bool
	Verb     string   // or empty
	Program  Program  // of a command
	Args     []string // of the verb or the command, without its name
	Dir      string   // of the host, without links, in which the command would run; empty if it is not known
	Env      []string // NAME=value, from the toolbox
}

// Decision is the policy's decision about a query. A nil Rule means that none matched,
// which is a denial.
type Decision struct {
	Action Action
	Rule   *Rule
}

// Where names the file and line that decided.
func (d Decision) Where() string {
	if d.Rule == nil {
		return "no rule"
	}
	return d.Rule.Where
}

// Policy is the rules in the order in which they are tried.
type Policy struct{ Rules []Rule }

// Decide returns the first rule that matches; no match is a denial.
func (p *Policy) Decide(q Query) Decision {
	for i := range p.Rules {
		if r := &p.Rules[i]; r.matches(q) {
			return Decision{r.Action, r}
		}
	}
	return Decision{Action: Deny}
}

func (r *Rule) matches(q Query) bool {
	return r.matchesBox(q) && r.matchesWhat(q) && matchArgs(r.Args, q.Args) && (r.Dir == "" || r.Dir == q.Dir) &&
		!slices.ContainsFunc(r.Env, func(kv string) bool {
			name, value, fixed := strings.Cut(kv, "=")
			return fixed && envset.First(q.Env, name) != value
		})
}

// usesDir reports whether a rule needs the directory, which costs a look at it.
func (p *Policy) usesDir() bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Dir != "" })
}

// mayRun reports whether some rule may let the toolbox run a command, before the command
// is looked up.
func (p *Policy) mayRun(q Query) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Exec != "" && r.Action != Deny && r.matchesBox(q) })
}

func (r *Rule) matchesBox(q Query) bool {
	switch r.Box {
	case "@any":
		return true
	case "@isolated":
		return q.Isolated
	case "@integrated":
		return !q.Isolated
	}
	ok, err := path.Match(r.Box, q.Box)
	return ok && err == nil
}

func (r *Rule) matchesWhat(q Query) bool {
	if q.Verb != "" {
		return r.Verb == "*" || r.Verb == q.Verb
	}
	switch r.Exec {
	case "":
		return false
	case "*":
		return r.Action == Deny || !q.Program.privileged()
	case "@privileged":
		return q.Program.privileged()
	}
	if r.Action == Deny {
		return q.Program.mayBe(r.Exec)
	}
	return q.Program.is(r.Exec)
}

// matchArgs matches from end to end. A nil pattern matches anything.
func matchArgs(pattern, args []string) bool {
	if pattern == nil {
		return true
	}
	for i, p := range pattern {
		if p == "**" && i == len(pattern)-1 {
			return true
		}
		if i >= len(args) || p != "*" && p != args[i] {
			return false
		}
	}
	return len(pattern) == len(args)
}

// privileged are commands that change the system or gain other rights. A rule for them
// must name them, or "@privileged".
var privileged = []string{
	"sudo", "su", "pkexec", "run0", "doas", "sudoedit",
	"rpm-ostree", "bootc", "ostree", "transactional-update", "abroot", "steamos-update", "eos-updater-ctl", "snap",
	"systemctl", "loginctl", "machinectl", "systemd-sysext", "systemd-sysupdate", "systemd-nspawn", "updatectl",
	"mount", "umount", "modprobe", "insmod", "rmmod", "losetup", "swapon", "swapoff",
	"reboot", "poweroff", "halt", "shutdown", "kexec", "init", "telinit",
	"dd", "mkfs", "fdisk", "sfdisk", "parted", "wipefs", "cryptsetup", "efibootmgr", "lvm",
	"useradd", "userdel", "usermod", "groupadd", "passwd", "chpasswd", "chsh", "visudo", "newuidmap", "newgidmap",
	"setcap", "nsenter", "chroot", "unshare",
}

// everything are commands that run any other: a rule that allows one of them
// allows everything, whatever its arguments say.
var everything = []string{
	"podman", "docker", "flatpak", "toolbox", "distrobox", "systemctl", "systemd-run", "run0", "sudo", "pkexec", "su", "doas",
	"sh", "bash", "dash", "zsh", "fish", "ksh", "busybox", "toybox", "env", "xargs", "find", "parallel", "nice", "nohup", "setsid", "timeout",
	"script",
	"awk", "gawk", "mawk", "sed", "vi", "vim", "nvim", "nano", "emacs", "ed", "less", "more", "man", "git", "ssh", "scp", "rsync", "tar",
	"make", "cmake",
	"python", "python3", "perl", "ruby", "node", "lua", "php", "go", "cargo", "npm", "gdb", "strace", "nsenter", "unshare", "chroot", "bwrap",
	"crontab", "at", "batch", "gdbus", "dbus-send", "busctl", "qdbus", "gio", "xdg-open", "code", "codium",
	"tmux", "screen", "xterm", "gnome-terminal", "konsole", "kitty", "foot", "alacritty", "ptyxis", "xdg-terminal-exec",
	"cp", "mv", "ln", "tee", "install", "dd", "curl", "wget",
}

// MeansEverything reports whether the rule lets a toolbox run any code as the user: by
// its wording, or because the command runs other commands or writes files.
func (r *Rule) MeansEverything() bool {
	if r.Action == Deny || r.Exec == "" {
		return false
	}
	return r.Exec == "*" || r.Exec == "@privileged" || slices.Contains(everything, filepath.Base(r.Exec))
}

func where(file string, line int) string { return file + ":" + strconv.Itoa(line) }
