//go:build system

// Package images_test runs tbx image and tbx create against real podman and a
// real registry, by the scripts of this directory. Each script has a home, a
// store and a podman service of its own.
package images_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tbx-project/tbx/tests/scriptcmd"
)

func TestScripts(t *testing.T) {
	root, err := os.MkdirTemp(os.Getenv("TBX_DISK"), "tbx-images-") // overlay wants a real disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, root) })
	if err := os.Chmod(root, 0o711); err != nil { // a bootstrap's root is another user outside
		t.Fatal(err)
	}
	r := newRegistry(t, root)
	commands := scriptcmd.Commands()
	commands["asked"] = r.asked
	commands["viaproxy"] = r.viaProxy
	commands["onpty"] = onPTY
	t.Run("all", func(t *testing.T) { // ends when its parallel scripts have
		testscript.Run(t, testscript.Params{
			Dir: ".", Cmds: commands, RequireExplicitExec: true, WorkdirRoot: root,
			Setup: func(env *testscript.Env) error { return setup(env, r) },
		})
	})
}

func setup(env *testscript.Env, r *registry) error {
	work := env.WorkDir
	for path, text := range map[string]string{
		"home/.config/containers/registries.conf": insecure(r.host, r.private, r.token, "registry.test"),
		"ca.crt":       string(r.ca),
		"storage.conf": "[storage]\ndriver = \"overlay\"\nrootless_storage_path = \"" + work + "/graph\"\nrunroot = \"" + work + "/run\"\n",
	} {
		path = filepath.Join(work, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	env.Vars = append(env.Vars,
		"HOME="+work+"/home", "CONTAINERS_STORAGE_CONF="+work+"/storage.conf", "REG="+r.host, "PRIVATE="+r.private, "TOKEN="+r.token, "SECURE="+r.secure, "PROXY="+r.proxy,
		"BUSYBOX="+os.Getenv("TBX_IMAGES")+"/busybox.tar", "BIG="+os.Getenv("TBX_IMAGES")+"/debian.tar",
	)
	for _, name := range []string{"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "USER", "LOGNAME", "SHELL", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env.Vars = append(env.Vars, name+"="+v)
		}
	}
	return nil
}

// insecure is a registries.conf that has these go without TLS.
func insecure(locations ...string) string {
	var out strings.Builder
	for _, l := range locations {
		fmt.Fprintf(&out, "[[registry]]\nlocation = %q\ninsecure = true\n", l)
	}
	return out.String()
}

// remove removes the stores below root, whose files are of the user's
// subordinate ids, and which podman's pause process keeps mounted. A service of
// podman 5 writes once more as it ends, 15 s after its last request.
func remove(t *testing.T, root string) {
	script := "umount -l $0/*/graph/overlay $0/*/graph 2>/dev/null; for i in $(seq 20); do rm -rf $0 && exit; sleep 1; done; exit 1"
	if out, err := exec.Command("podman", "unshare", "sh", "-c", script, root).CombinedOutput(); err != nil {
		t.Errorf("clean %s: %v\n%s", root, err, out)
	}
}

// onPTY is the command "onpty CODE ANSWER PROGRAM [ARG...]": it runs the program
// on a terminal of its own, types ANSWER when a question ends in [y/N], and puts
// what came to the screen into the file screen. The exit code must be CODE.
func onPTY(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: onpty CODE ANSWER PROGRAM [ARG...]")
	}
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"HOME", "PATH", "CONTAINERS_STORAGE_CONF", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "USER", "SHELL"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 100})
	ts.Check(err)
	defer terminal.Close()
	kill := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	var screen strings.Builder
	buf := make([]byte, 4096)
	for answered := false; ; {
		n, err := terminal.Read(buf)
		screen.Write(buf[:n])
		if !answered && strings.Contains(screen.String(), "[y/N]") {
			answered = true
			fmt.Fprintln(terminal, args[1])
		}
		if err != nil {
			break // the kernel's way to say that nobody has it open any more
		}
	}
	_ = cmd.Wait() // the code says it
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(screen.String()), 0o644))
	if got := fmt.Sprint(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s\n%s", got, args[0], screen.String())
	}
}
