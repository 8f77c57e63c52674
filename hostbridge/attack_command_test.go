package hostbridge_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

func TestB13_ShimOutsideAToolbox(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// The file behind a name changes all the time. A rule that allows a name which
// others can change allows nothing, wherever the name leads at the moment.
func TestB14_SwappedWhileItIsChecked(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	evil := filepath.Join(b.Shared, "evil")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(b.Shared, "id")
	b.Local.WritePolicy("1.toml", `
[[rule]]
box = "web"
exec = "`+link+`"
action = "allow"
[[rule]]
box = "web"
exec = "/usr/bin/id"
action = "allow"
[[rule]]
box = "web"
exec = "*"
action = "deny"
`)
	os.Chmod(b.Shared, 0o777) // also when root runs the tests, others can change it
	done, swapping := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swapping)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			os.Symlink([]string{"/usr/bin/id", evil}[i%2], link+".new")
			os.Rename(link+".new", link)
		}
	}()
	for range 100 {
		b.Refused(t, 126, link, "-u")
	}
	close(done)
	<-swapping
}

// A client that speaks the protocol itself sends what it likes: the agent drops
// it, and says so in the log, without the values.
func TestB15_AgentDropsVariables(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	out := pipe(t)
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	s := wire.Start{Token: token(t, b.Local), Cwd: "/", Argv: []string{"env"}, Env: []string{
		"LD_PRELOAD=/hunter2.so", "BASH_ENV=/hunter2", "TERM=x\x1b]hunter2", "GIT_SSH_COMMAND=hunter2", "PATH=/hunter2", "TBX_SESSION=hunter2",
		"HOSTVAR=hunter2", "LC_ALL=C\nLD_PRELOAD=hunter2", "LANG=aa_BB", "BASH_FUNC_ls%%=() { hunter2; }", "LC_X y=hunter2", "TZ=\xff"}}
	frames, err := s.Frames()
	if err != nil {
		t.Fatal(err)
	}
	fd := dial(t, b.Local)
	send(t, fd, frames[0])
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, out[1], null, cwd)
	unix.Close(out[1])
	got, _ := io.ReadAll(os.NewFile(uintptr(out[0]), "out"))
	if strings.Contains(string(got), "hunter2") || strings.Contains(string(got), "TZ") || !strings.Contains(string(got), "LANG=aa_BB\n") || !strings.Contains(string(got), "HOSTVAR=host\n") {
		t.Errorf("environment:\n%s", got)
	}
	dropped := strings.Join(b.Local.Audit()[0].Dropped, " ")
	if dropped != "LD_PRELOAD BASH_ENV TERM GIT_SSH_COMMAND PATH TBX_SESSION HOSTVAR LC_ALL BASH_FUNC_ls%% LC_X y TZ" {
		t.Errorf("logged as dropped: %s", dropped)
	}
	if data, _ := os.ReadFile(b.Local.Config.Audit); strings.Contains(string(data), "hunter2") {
		t.Errorf("a value is in the log: %s", data)
	}
}

// Shims of two names that lead to each other, by PATH, come to an end.
func TestB13_ShimsThatLeadToEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, _ := os.Executable()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for _, d := range []string{one, two} {
		os.Mkdir(d, 0o755)
		os.Symlink(self, filepath.Join(d, "frob"))
	}
	os.Symlink(filepath.Join(one, "frob"), filepath.Join(two, "link"))
	cmd := exec.Command(filepath.Join(two, "link"))
	cmd.Env = []string{"TBX_TEST_ROLE=shim", "TBX_TEST_ARGV=frob", "TBX_BRIDGE=" + dir + "/none", "PATH=" + two + ":" + one + ":" + two}
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 127 || !strings.Contains(string(out), "frob: not found here") {
		t.Errorf("%v %s", cmd.ProcessState, out)
	}
}
