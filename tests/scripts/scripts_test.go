// Package scripts_test runs tbx by the scripts of this directory. They need no
// podman, no root and no network: what is about a toolbox itself is in
// tests/system. Where they need podman's answers there is a program of that name
// in front on PATH, see fakePodman.
package scripts_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/cmd/full"
	"github.com/tbx-project/tbx/cmd/root"
	"github.com/tbx-project/tbx/tests/scriptcmd"
	"github.com/tbx-project/tbx/toolbox/podman"
)

// nobody is who tbx runs as when the tests run as root.
const nobody = 65534

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tbx": func() {
			drop()
			os.Exit(root.Main(full.Program(), os.Args, os.Stdin, os.Stdout, os.Stderr))
		},
		"podman-fake": func() {
			if err := fakePodman(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(125)
			}
		},
	})
}

// drop makes an ordinary user of root, whom tbx refuses, unless that is what a
// script is about.
func drop() {
	if os.Geteuid() != 0 || os.Getenv("TEST_AS_ROOT") != "" {
		return
	}
	for _, err := range []error{
		syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody),
		unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0), // else /proc/self would stay root's
	} {
		if err != nil {
			panic(err)
		}
	}
}

func TestScripts(t *testing.T) {
	bin := strings.Split(os.Getenv("PATH"), ":")[0] // testscript's, where tbx is
	programs := [][]string{{"-o", filepath.Join(bin, "tbx-box"), "../../cmd/tbx-box"}}
	if !podman.Bindings { // tbx, which is this test, hands over to tbx-podman
		programs = append(programs, []string{"-tags", podman.Tags, "-o", filepath.Join(bin, "tbx-podman"), "../../cmd/tbx-podman"})
	}
	for _, args := range programs {
		build := exec.Command("go", append([]string{"build"}, args...)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.Chmod(filepath.Dir(bin), 0o711); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		Cmds:                scriptcmd.Commands(),
		RequireExplicitExec: true,
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", cond)
		},
		Setup: func(env *testscript.Env) error { return setup(env, bin) },
	})
}

// setup gives a script a home and a runtime directory of its own, and words
// that a script's text cannot hold.
func setup(env *testscript.Env, bin string) error {
	for _, dir := range []string{"home", "run", "bin"} {
		if err := os.MkdirAll(filepath.Join(env.WorkDir, dir), 0o700); err != nil {
			return err
		}
	}
	// A script that wants podman puts one in its place.
	none := "#!/bin/sh\necho 'this script is not about podman' >&2\nexit 125\n"
	if err := os.WriteFile(filepath.Join(env.WorkDir, "bin/podman"), []byte(none), 0o755); err != nil {
		return err
	}
	env.Vars = append(env.Vars,
		"HOME="+env.WorkDir+"/home", "XDG_RUNTIME_DIR="+env.WorkDir+"/run", "USER=tester", "SHELL=/bin/bash", "LC_ALL=C.UTF-8",
		"BIN="+bin, "PATH="+env.WorkDir+"/bin:"+bin+":/usr/bin:/bin",
		"NEWLINE=a\nb", "ESCAPE=a\x1b[2Jb", "BIDI=a\u202eb", "INVALID=a\xffb", "LONG="+strings.Repeat("x", 300), "NBSP=a\u00a0b", "UMLAUT=bücher",
	)
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chmod(filepath.Dir(env.WorkDir), 0o711); err != nil {
		return err
	}
	return filepath.WalkDir(env.WorkDir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}
