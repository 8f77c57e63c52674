//go:build system

// Package system_test runs tbx against the podman of the calling user, who must
// be an ordinary one: tests/lab/user makes him where there is none, and
// tests/lab/system calls all this. Every script has toolboxes of its own, whose
// names begin with $BOX, so that they run side by side; what any of them leaves
// behind fails the suite.
//
// $TBX_BIN is the directory of the programs (default bin/), $TBX_IMAGES that of
// the images' tars.
package system_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tbx-project/tbx/tests/scriptcmd"
)

// prefix begins the name of every toolbox of these tests.
const prefix = "systest-"

// Images that the tests use, by their names in $TBX_IMAGES.
var imageNames = []string{"debian", "busybox", "bare"}

func image(name string) string { return "localhost/systest-" + name + ":1" }

func TestMain(m *testing.M) {
	if work := os.Getenv("TREE_WORK"); work != "" {
		if err := treeWork(work, os.Getenv("TREE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "system:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := leaks(); err != nil {
		fmt.Fprintln(os.Stderr, "system: left behind:\n"+err.Error())
		code = 1
	}
	os.Exit(code)
}

// prepare sees to the programs and the images, and removes what a run that was
// killed left.
func prepare() error {
	if os.Getuid() == 0 {
		return fmt.Errorf("these tests are for an ordinary user; call tests/lab/system")
	}
	if err := ownStorageConf(); err != nil {
		return err
	}
	bin := os.Getenv("TBX_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	for _, p := range []string{"tbx", "tbx-podman", "tbx-box"} {
		if _, err := os.Stat(filepath.Join(bin, p)); err != nil {
			return fmt.Errorf("%w; make build", err)
		}
	}
	os.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	os.Setenv("TBX_BIN", bin)
	removeAll(prefix)
	for _, name := range imageNames {
		if exec.Command("podman", "image", "exists", image(name)).Run() == nil {
			continue
		}
		tar := filepath.Join(os.Getenv("TBX_IMAGES"), name+".tar")
		args := []string{"import", "--quiet", tar, image(name)}
		if name == "debian" {
			args = append(args, "--change", "CMD /bin/bash")
		}
		if out, err := exec.Command("podman", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("podman import %s: %w: %s", tar, err, out)
		}
	}
	return nil
}

// ownStorageConf gives the user a file that scripts can name to podman: some
// change XDG_CONFIG_HOME, and podman's storage must stay the same.
func ownStorageConf() error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	file := filepath.Join(home, ".config/containers/storage.conf")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte("[storage]\ndriver = \"overlay\"\n"), 0o644)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		Cmds:                scriptcmd.Commands(),
		Condition:           condition,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			name := prefix + strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
			env.Defer(func() { removeAll(name) })
			env.Vars = append(passed(), "WORK="+env.WorkDir, "BOX="+name, "BASE="+env.WorkDir, "UID="+fmt.Sprint(os.Getuid()), "GID="+fmt.Sprint(os.Getgid()))
			for _, n := range imageNames {
				env.Vars = append(env.Vars, strings.ToUpper(n)+"="+image(n))
			}
			return nil
		},
	})
}

// passed is the user's own environment: HOME and its kin decide what podman
// works on. Without TERM nothing is taken for a terminal's business.
func passed() []string {
	var out []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "PWD", "OLDPWD", "TERM", "TMPDIR", "SHLVL", "_":
		default:
			out = append(out, kv)
		}
	}
	return out
}

// condition: [memory] holds where memory and processes of a toolbox can be limited, which
// the machine of QEMU can (tests/vm), and [cgroup] holds where containers have cgroups, which takes a user's
// systemd, so that podman can pause them and end what runs in them.
func condition(name string) (bool, error) {
	switch name {
	case "mqueue": // without it podman cannot make a container that does not share /dev
		_, err := os.Stat("/dev/mqueue")
		return err == nil, nil
	case "memory": // systemd has given the session the controllers that limit
		data, err := os.ReadFile(fmt.Sprintf("/sys/fs/cgroup/user.slice/user-%d.slice/user@%[1]d.service/cgroup.controllers", os.Getuid()))
		return err == nil && strings.Contains(string(data), "memory"), nil
	case "cgroup":
		_, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd/private"))
		return err == nil, nil
	}
	return false, fmt.Errorf("there is no condition %q", name)
}

// names lists the containers, also half-made ones, that begin with prefix.
func names(prefix string) []string {
	out, err := exec.Command("podman", "ps", "--all", "--external", "--format", "{{.Names}}").Output()
	if err != nil {
		return nil
	}
	var found []string
	for _, n := range strings.Fields(string(out)) {
		if strings.HasPrefix(n, prefix) {
			found = append(found, n)
		}
	}
	return found
}

// removeAll removes by tbx what a test did not, so that leaks finds what tbx
// itself forgets; what tbx cannot remove podman does, and leaks says so.
func removeAll(prefix string) {
	for _, n := range names(prefix) {
		exec.Command("podman", "unpause", n).Run()
		if exec.Command("tbx", "rm", "--force", n).Run() != nil {
			exec.Command("podman", "rm", "--force", "--time", "0", n).Run()
		}
	}
}

// leaks looks for containers, specifications, records, logs and processes.
func leaks() error {
	var left []string
	for _, n := range names(prefix) {
		left = append(left, "container "+n)
	}
	home := os.Getenv("HOME")
	for _, pattern := range []string{home + "/.config/tbx/toolboxes/*", home + "/.local/state/tbx/log/*", os.Getenv("XDG_RUNTIME_DIR") + "/tbx/toolboxes/*"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			if strings.HasPrefix(strings.TrimLeft(filepath.Base(f), "."), prefix) {
				left = append(left, "file "+f)
			}
		}
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range environs {
		if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), "\x00TBX_TOOLBOX="+prefix) {
			cmdline, _ := os.ReadFile(filepath.Dir(f) + "/cmdline")
			left = append(left, "process "+filepath.Base(filepath.Dir(f))+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%s", strings.Join(left, "\n"))
	}
	return nil
}
