//go:build system

// Package containers_test makes containers in toolboxes, by the engines of two Debian
// releases, and looks at the host's podman before and after. It runs as tests/system
// does: tests/lab/system tests/containers.
package containers_test

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
const prefix = "conttest-"

// images are those that toolboxes are made of, by their names in $TBX_IMAGES.
var images = []string{"engines12", "engines13"}

func image(name string) string { return "localhost/conttest-" + name + ":1" }

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		os.Exit(1)
	}
	code := m.Run()
	removeAll(prefix)
	os.Exit(code)
}

func prepare() error {
	if os.Getuid() == 0 {
		return fmt.Errorf("these tests are for an ordinary user; call tests/lab/system")
	}
	os.Setenv("PATH", os.Getenv("TBX_BIN")+":"+os.Getenv("PATH"))
	removeAll(prefix)
	for _, name := range images {
		if exec.Command("podman", "image", "exists", image(name)).Run() == nil {
			continue
		}
		tar := filepath.Join(os.Getenv("TBX_IMAGES"), name+".tar")
		if out, err := exec.Command("podman", "import", "--quiet", "--change", "CMD /bin/bash", tar, image(name)).CombinedOutput(); err != nil {
			return fmt.Errorf("podman import %s: %w: %s", tar, err, out)
		}
	}
	return nil
}

// TestScripts runs every script with each image, one after the other: they look at
// what the host's podman has as a whole.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range images {
		for _, script := range scripts {
			t.Run(name, func(t *testing.T) { runScript(t, name, script) })
		}
	}
}

func runScript(t *testing.T, name, script string) {
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		Cmds:                scriptcmd.Commands(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			box := prefix + strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
			env.Defer(func() { removeAll(box) })
			for _, kv := range os.Environ() {
				if v, _, _ := strings.Cut(kv, "="); v != "PWD" && v != "TERM" && v != "TMPDIR" {
					env.Vars = append(env.Vars, kv)
				}
			}
			env.Vars = append(env.Vars, "WORK="+env.WorkDir, "BOX="+box, "ENGINES="+image(name),
				"DEBIAN="+filepath.Join(os.Getenv("TBX_IMAGES"), "debian.tar"))
			return nil
		},
	})
}

// removeAll removes the toolboxes whose names begin so.
func removeAll(prefix string) {
	out, err := exec.Command("podman", "ps", "--all", "--format", "{{.Names}}").Output()
	if err != nil {
		return
	}
	for _, n := range strings.Fields(string(out)) {
		if strings.HasPrefix(n, prefix) {
			exec.Command("tbx", "rm", "--force", n).Run()
		}
	}
}
