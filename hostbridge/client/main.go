package client

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/executable"
)

const usage = `usage: tbx host-exec [--cwd DIR] [--env NAME] [--detach] [--] COMMAND [ARGUMENT...]
       tbx host-exec --verb VERB [ARGUMENT...]
Runs a command on the host, as far as the policy on the host allows it.
`

// HostExec is `tbx host-exec` inside a toolbox. It does not return.
func HostExec(args []string) {
	req := Request{Dir: os.Getenv("TBX_BRIDGE")}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		opt := args[0]
		args = args[1:]
		if opt == "--" {
			break
		}
		name, value, glued := strings.Cut(opt, "=")
		if (name == "--cwd" || name == "--env") && !glued {
			if len(args) == 0 {
				refuseUsage(name + " needs a value")
			}
			value, args = args[0], args[1:]
		}
		switch {
		case name == "--cwd":
			if !filepath.IsAbs(value) {
				refuseUsage("--cwd needs the absolute path of a directory of the host")
			}
			req.HostCwd = value
		case name == "--env":
			if value == "" || strings.Contains(value, "=") {
				refuseUsage("--env needs the name of a variable, and passes its value from here")
			}
			req.Env = append(req.Env, value)
		case opt == "--detach":
			req.Detach = true
		case opt == "--verb":
			req.Verb = true
		case opt == "--help" || opt == "-h":
			os.Stdout.WriteString(usage)
			os.Exit(0)
		default:
			refuseUsage("unknown option " + opt)
		}
	}
	if len(args) == 0 {
		refuseUsage("no command")
	}
	req.Argv = args
	finish(req)
}

func refuseUsage(why string) {
	Result{Message: "host-exec: " + why}.Report()
	os.Stderr.WriteString(usage)
	os.Exit(125) // not 2, which may be a command's own
}

func finish(req Request) {
	if req.Verb && req.Argv[0] == "open-file" && len(req.Argv) == 2 && req.Argv[1] != "" {
		if path, err := filepath.Abs(req.Argv[1]); err == nil {
			req.Argv[1], req.File = path, path
		}
	}
	r := Run(req)
	r.Report()
	r.Exit()
}

// Shim is tbx-box under the name of a host command. It does not return. Where there is
// no bridge, it runs the next program of that name in PATH, so that a shim outside a
// toolbox does no harm.
func Shim(argv []string) {
	name := filepath.Base(argv[0])
	dir := os.Getenv("TBX_BRIDGE")
	if dir == "" {
		dir = DefaultDir
	}
	if _, err := os.Stat(dir); err != nil {
		execNext(name, argv)
		Result{Message: name + ": not found here, and there is no bridge to a host"}.Report()
		os.Exit(127)
	}
	req := Translate(name, argv[1:])
	req.Dir = dir
	finish(req)
}

// execNext runs the first program of that name in PATH that is not this one.
func execNext(name string, argv []string) {
	var own unix.Stat_t
	if unix.Stat("/proc/self/exe", &own) != nil {
		return
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		file := filepath.Join(dir, name)
		var st unix.Stat_t
		if !filepath.IsAbs(dir) || unix.Stat(file, &st) != nil || st.Dev == own.Dev && st.Ino == own.Ino {
			continue
		}
		if executable.Is(file) {
			syscall.Exec(file, argv, os.Environ())
		}
	}
}

// Translate returns the verb for a command that toolboxes know by its usual name. A
// policy can allow a verb without allowing commands.
func Translate(name string, args []string) Request {
	verb := func(argv ...string) Request { return Request{Verb: true, Argv: argv} }
	switch {
	case name == "xdg-open" && len(args) == 1 && !strings.HasPrefix(args[0], "-"):
		if scheme, _, ok := strings.Cut(args[0], ":"); ok && !strings.Contains(scheme, "/") && scheme != "file" {
			return verb("open-url", args[0])
		}
		if path := strings.TrimPrefix(args[0], "file://"); !strings.Contains(path, "%") || path == args[0] {
			return verb("open-file", path)
		}
	case name == "notify-send" && (len(args) == 1 || len(args) == 2) && !strings.HasPrefix(args[0], "-"):
		return verb(append([]string{"notify"}, args...)...)
	case name == "tbx":
		line := strings.Join(args, " ")
		for words, v := range map[string]string{
			"list": "toolbox-list", "ls": "toolbox-list", "host status": "host-status", "host upgrade": "host-upgrade",
		} {
			if line == words {
				return verb(v)
			}
			if line == words+" --format json" || line == words+" --format=json" {
				return verb(v, "--format", "json")
			}
		}
	}
	return Request{Argv: append([]string{name}, args...)}
}
