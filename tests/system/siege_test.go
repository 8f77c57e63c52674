//go:build system

package system_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What sieges found (tests/siege), tried directly.

// TestX50_LinkInAShare: a toolbox that may change a directory leaves a link to another
// one in it; who then shares what lies behind that name is told, and shares nothing. A
// link of one's own is followed.
func TestX50_LinkInAShare(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x50", image("busybox"))
	must(t, os.MkdirAll(c.dir+"/notes", 0o700))
	must(t, os.WriteFile(c.dir+"/notes/secret", []byte("hunter2\n"), 0o600))
	must(t, os.Symlink("notes", c.dir+"/mine"))
	c.inside(false, "ln -s "+c.dir+"/notes "+c.dir+"/src/p/job")
	other := c.name + "-2"
	t.Cleanup(func() { exec.Command("tbx", "rm", "--force", other).Run() })
	for _, flag := range [][]string{{"--share", c.dir + "/src/p/job"}, {"--share", c.dir + "/src/p/job:ro"}, {"--volume", c.dir + "/src/p/job:/mnt"}} {
		out, err := try("tbx", append([]string{"create", "--quiet", "--isolated", "--image", image("busybox"), other}, flag...)...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, "it is in "+c.dir+"/src/p, which the isolated toolbox "+c.name) {
			t.Errorf("%q: %v\n%s", flag, err, out)
			try("tbx", "rm", "--force", other)
		}
	}
	tbx(t, "create", "--quiet", "--isolated", "--image", image("busybox"), "--share", c.dir+"/mine", other)
	if out := tbx(t, "run", "--workdir", "/", other, "--", "cat", c.dir+"/notes/secret"); !strings.Contains(out, "hunter2") {
		t.Errorf("a link of the owner's: %s", out)
	}
}

// TestX51_TablesExchanged: root inside exchanges /etc/group with a FIFO, or with a line
// of a terabyte, as fast as it can. podman waits for the one with the toolbox's lock, and
// with it every call of podman, and takes all memory for the other: each session begins,
// or is refused with a sentence, and podman answers.
func TestX51_TablesExchanged(t *testing.T) {
	for what, makes := range map[string]string{"fifo": "mkfifo", "large": "truncate -s 1T"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, "x51-"+what, image("debian"))
			exchange := map[string]string{"amd64": "316", "arm64": "276"}[runtime.GOARCH]
			c.inside(true, makes+` /etc/group.x; perl -e '($a, $b) = ("/etc/group", "/etc/group.x"); while (1) { syscall(`+exchange+`, -100, $a, -100, $b, 2); select(undef, undef, undef, 0.0005) }' >/dev/null 2>&1 </dev/null &`)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // for what takes seconds, or hangs
			defer cancel()
			entered, refused, ended := 0, 0, 0
			for range 12 {
				out, err := exec.CommandContext(ctx, "tbx", "run", "--workdir", "/", c.name, "--", "true").CombinedOutput()
				var exit *exec.ExitError
				switch {
				case err == nil:
					entered++
				case errors.As(err, &exit) && exit.ExitCode() == 125 && strings.Contains(string(out), "podman would wait for its /etc/group"):
					refused++
				case errors.As(err, &exit) && !exit.Exited() && strings.Contains(string(out), "cannot be entered: podman waits for its /etc/passwd or /etc/group"):
					ended++
				case what == "large" && strings.Contains(string(out), "token too long"): // podman 4
					refused++
				default:
					t.Errorf("%v\n%s", err, out)
				}
			}
			t.Logf("%d entered, %d refused, %d ended", entered, refused, ended)
			if refused+ended == 0 {
				t.Error("nothing was exchanged")
			}
			if out, err := exec.CommandContext(ctx, "podman", "ps").CombinedOutput(); err != nil || !strings.Contains(string(out), c.name) {
				t.Errorf("podman: %v\n%s", err, out)
			}
			if out, err := exec.CommandContext(ctx, "tbx", "stop", c.name).CombinedOutput(); err != nil {
				t.Errorf("stop: %v\n%s", err, out)
			}
		})
	}
}
