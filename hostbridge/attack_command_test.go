package hostbridge_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestB13_ShimOutsideAToolbox(t *testing.T) {
	dir := t.TempDir()
	self, _ := os.Executable()
	shims, bin := filepath.Join(dir, "shims"), filepath.Join(dir, "bin")
	os.Mkdir(shims, 0o755)
	os.Mkdir(bin, 0o755)
	os.Symlink(self, filepath.Join(shims, "frob"))
	run := func(path string) (string, int) {
		cmd := exec.Command(filepath.Join(shims, "frob"))
		cmd.Env = []string{"TBX_TEST_ROLE=shim", "TBX_TEST_ARGV=frob\nx y", "TBX_BRIDGE=" + dir + "/none", "PATH=" + path}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run(shims + ":relative:" + bin); code != 127 { // not itself again
		t.Errorf("no other frob: %d %s", code, out)
	}
	os.WriteFile(filepath.Join(bin, "frob"), []byte("#!/bin/sh\necho real \"$1\"\n"), 0o755)
	if out, code := run(shims + ":" + bin); code != 0 || out != "real x y\n" {
		t.Errorf("next frob in PATH: %d %q", code, out)
	}
}

func TestB14_WhichFileIsRun(t *testing.T) {
	b := bridgetest.Local(t, nil)
	fake := filepath.Join(b.Shared, "id")
	os.WriteFile(fake, []byte("#!/bin/sh\necho evil\n"), 0o755)
	os.Chmod(fake, 0o777) // also when root runs the tests, others can change it
	link := filepath.Join(b.Shared, "mylink")
	os.Symlink("/usr/bin/id", link)
	b.Local.WritePolicy("1.toml", `
[[rule]]
box = "web"
exec = "id"
action = "allow"
[[rule]]
box = "web"
exec = "`+fake+`"
action = "allow"
[[rule]]
box = "web"
exec = "*"
action = "deny"
`)
	b.Output(t, "id")
	b.Output(t, "/usr/bin/id")
	for _, name := range []string{fake, link, "/proc/self/exe", "/usr/bin/../bin/env", "/bin/sh"} {
		b.Refused(t, 126, name)
	}
	for _, name := range []string{"./id", "../bin/id", "share/id"} { // denied before it is looked for
		b.Refused(t, 126, name)
	}
}
