//go:build system

package system_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killAll kills at once what works on this place: tbx, its helpers and podman's services.
// Nothing but these runs in it.
func (p *place) killAll() {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range environs {
		env, err := os.ReadFile(f)
		pid, perr := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && perr == nil && pid != os.Getpid() && bytes.Contains(env, []byte("XDG_DATA_HOME="+p.dir+"/data\x00")) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestE37_KilledSnapshot kills snapshot, rollback and clone with all that they started, at
// moments spread over their length. The toolbox is whole, of before or after, and the next
// call leaves nothing behind.
func TestE37_KilledSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name, other = prefix + "kill-snap", prefix + "kill-snap-other"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	version := func(of, v string) {
		p.run(0, "tbx", "run", "--root", of, "--", "sh", "-c",
			`mkdir -p /a /z; rm -f /a/* /z/*; i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo `+v+` >/a/$i; done; cp /a/* /z; sync -f / || true`)
		p.run(0, "tbx", "stop", of)
	}
	// whole says which version a toolbox is of, all of it.
	whole := func(of string, i int) string {
		out := strings.TrimSpace(p.run(0, "tbx", "run", of, "--", "sh", "-c", "ls /a /z | wc -l; cat /a/* /z/* | sort -u"))
		p.run(0, "tbx", "stop", of)
		lines := strings.Fields(out[strings.LastIndex(out, "tbx:")+1:])
		if len(lines) != 2 || lines[0] != "803" {
			t.Fatalf("kill %d: toolbox %s is not whole: %q", i, of, out)
		}
		return lines[1]
	}
	version(name, "one")
	length := length(func() { p.run(0, "tbx", "snapshot", "create", name, "kept") })
	version(name, "two")
	calls := [][]string{
		{"tbx", "snapshot", "create", name, "more"}, {"tbx", "snapshot", "rollback", name, "kept"}, {"tbx", "clone", name, other},
	}
	for i := 0; i < kills; i += 2 { // each call twice
		call := calls[i%len(calls)]
		p.killed(length, i, func(*os.Process) { p.killAll() }, call...)
		p.settle()
		was := whole(name, i)
		if call[2] != "rollback" && was != "two" || was != "one" && was != "two" {
			t.Errorf("kill %d of %v: the toolbox is of version %s", i, call, was)
		}
		list := p.run(0, "tbx", "snapshot", "list", name)
		switch {
		case strings.Contains(list, "before-rollback") != (was == "one"):
			t.Errorf("kill %d of %v: the toolbox is of version %s, and the snapshots are:\n%s", i, call, was, list)
		case was == "one": // and back
			p.run(0, "tbx", "snapshot", "rollback", name, "before-rollback")
			if is := whole(name, i); is != "two" {
				t.Errorf("kill %d: the toolbox is of version %s after the way back", i, is)
			}
			p.run(0, "tbx", "snapshot", "rm", "--yes", name, "before-rollback")
			version(name, "one")
			p.run(0, "tbx", "snapshot", "create", name, "kept")
			version(name, "two")
		case strings.Contains(list, " more "):
			p.run(0, "tbx", "snapshot", "rm", "--yes", name, "more")
		}
		if out, code := p.try("tbx", "clone", name, other); code == 0 || code == 4 {
			if is := whole(other, i); is != "two" {
				t.Errorf("kill %d: the clone is of version %s", i, is)
			}
			p.run(0, "tbx", "rm", "--force", other)
		} else {
			t.Errorf("kill %d: clone: %d\n%s", i, code, out)
		}
		p.nothingHalf(name, i)
	}
	p.run(0, "tbx", "rm", "--force", name)
	p.run(0, "podman", "pod", "rm", "tbx-snapshots")
	p.clean(name, kills)
}

// nothingHalf fails unless there is the toolbox with its one snapshot and nothing more.
func (p *place) nothingHalf(name string, i int) {
	p.t.Helper()
	time.Sleep(50 * time.Millisecond)
	if names := strings.Fields(p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}")); len(names) != 2 {
		p.t.Errorf("kill %d: containers are left: %v", i, names)
	}
	if out := p.run(0, "podman", "unshare", "find", p.dir+"/data/containers/storage/overlay", "-maxdepth", "2", "-name", "*.tbx-part"); strings.TrimSpace(out) != "" {
		p.t.Errorf("kill %d: left behind: %s", i, out)
	}
}
