//go:build system

// Package terminal_test drives toolboxes as people do: through a real terminal,
// with real shells and programs, against the real services of a desktop. It
// tests what the user sees and what the kernel says, never how tbx does it.
//
// Consoles are in console_test.go, processes in process_test.go. One toolbox,
// made by TestMain, serves all tests that leave it as it is.
package terminal_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	box   = "tbxterm"  // every test may enter it; none may stop it
	other = "tbxterm-" // prefix of the toolboxes of single tests
)

var (
	image string // podman's name of the image desk of tests/lab/image
	home  string // the home inside all toolboxes, which begins as a new user's
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fatal := func(err error) int {
		fmt.Fprintln(os.Stderr, "terminal:", err)
		return 1
	}
	if os.Geteuid() == 0 {
		return fatal(fmt.Errorf("these tests are for an ordinary user: run tests/lab/system"))
	}
	bin := os.Getenv("TBX_BIN")
	os.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	os.Setenv("LANG", "C.UTF-8")
	for _, name := range []string{"TMUX", "TBX_BIN", "LC_ALL", "TZ", "DISPLAY", "WAYLAND_DISPLAY", "SSH_AUTH_SOCK"} {
		os.Unsetenv(name)
	}
	dir, err := os.MkdirTemp("/tmp", "tbx-terminal-")
	if err != nil {
		return fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := newHome(filepath.Join(dir, "home")); err != nil {
		return fatal(err)
	}
	if err := importImage(filepath.Join(os.Getenv("TBX_IMAGES"), "desk.tar")); err != nil {
		return fatal(err)
	}
	remove(box) // of a run that was killed
	defer remove(box)
	if out, err := exec.Command("tbx", "create", "--image", image, "--home", home, box).CombinedOutput(); err != nil {
		return fatal(fmt.Errorf("%w\n%s", err, out))
	}
	return m.Run()
}

// newHome fills a directory as useradd does for Debian's users, whose ~/.bashrc
// sets PS1.
func newHome(dir string) error {
	home = dir
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-r", "/etc/skel/.", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return os.WriteFile(filepath.Join(dir, ".zshrc"), []byte("# or zsh asks what to do\n"), 0o644)
}

// importImage brings the image into podman, once.
func importImage(tar string) error {
	fi, err := os.Stat(tar)
	if err != nil {
		return fmt.Errorf("%w; run tests/lab/system", err)
	}
	image = fmt.Sprintf("localhost/tbx-desk:%d", fi.ModTime().Unix())
	if exec.Command("podman", "image", "exists", image).Run() == nil {
		return nil
	}
	if out, err := exec.Command("podman", "import", tar, image).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func remove(name string) { exec.Command("tbx", "rm", "--force", name).Run() }

// newBox makes a toolbox for one test. env is added to the environment of tbx.
func newBox(t *testing.T, name string, env []string, args ...string) string {
	t.Helper()
	name = other + name
	remove(name)
	t.Cleanup(func() { remove(name) })
	tbx(t, env, append(append([]string{"create", "--image", image, "--home", home}, args...), name)...)
	return name
}

// tbx runs tbx without a terminal and returns what it wrote to standard output.
func tbx(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, code := try(t, env, "tbx", args...)
	if code != 0 {
		t.Fatalf("tbx %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// inside runs a shell command in the toolbox box, without a terminal.
func inside(t *testing.T, env []string, script string) string {
	t.Helper()
	return strings.TrimSpace(tbx(t, env, "run", box, "--", "sh", "-c", script))
}

// try runs a command and returns its standard output and exit code. What it
// says on standard error is logged.
func try(t *testing.T, env []string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // what a killed command left may hold the pipe
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errs.Len() > 0 {
		t.Logf("%s: %s", name, errs.String())
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// host runs a shell command on the host and returns its output.
func host(t *testing.T, script string) string {
	t.Helper()
	out, code := try(t, nil, "sh", "-ec", script)
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s", script, code, out)
	}
	return strings.TrimSpace(out)
}

// asRoot is host as the host's root, for what only the administrator changes.
func asRoot(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sudo", "-n", "sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("as root: %s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// serve runs a program of the host until the test ends.
func serve(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out.String())
		}
	})
}
