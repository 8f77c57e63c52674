//go:build system

package system_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// distroboxOf makes a container that counts as distrobox's, of busybox, with a file in it.
func (p *place) distroboxOf(name string) {
	p.t.Helper()
	script := filepath.Join(p.dir, "entrypoint")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho kept >/etc/kept\necho container_setup_done\ntrap 'exit 143' TERM\nwhile :; do sleep 15 & wait $!; done\n"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	uid, home := fmt.Sprint(os.Getuid()), os.Getenv("HOME")
	p.run(0, "podman", "create", "--name", name, "--label", "manager=distrobox", "--userns", "keep-id", "--user", "root:root", "--pid", "host", "--network", "host",
		"--volume", "/:/run/host:rslave", "--volume", script+":/usr/bin/entrypoint:ro", "--entrypoint", "/usr/bin/entrypoint", image("busybox"),
		"--verbose", "--name", os.Getenv("USER"), "--user", uid, "--group", uid, "--home", home, "--init", "0", "--", "")
	p.run(0, "podman", "start", name)
	p.run(0, "sh", "-c", "for i in $(seq 300); do podman exec "+name+" cat /etc/kept && exit; sleep 0.1; done; exit 1")
	p.run(0, "tbx", "stop", name)
}

// TestE185_KilledAdoption kills adopting by move and by copy, and giving back, with all
// that they started, at moments spread over their length. There is the original or the
// adopted toolbox, whole, and the way on and back is open.
func TestE185_KilledAdoption(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name, as = prefix + "kill-adopt", prefix + "kill-adopt-tbx"
	p.distroboxOf(name)
	maker := regexp.MustCompile(`"manager": "(\w+)"`)
	is := func(of string) string {
		out, code := p.try("tbx", "inspect", "--format", "json", of)
		m := maker.FindStringSubmatch(out)
		if code != 0 || m == nil {
			return ""
		}
		return m[1]
	}
	kept := func(i int) {
		t.Helper()
		out, code := p.try("tbx", "run", name, "--", "cat", "/etc/kept")
		if code != 0 || !strings.Contains(out, "kept") {
			t.Fatalf("kill %d: %d\n%s%s", i, code, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		p.run(0, "tbx", "stop", name)
	}
	whole := length(func() { p.run(0, "tbx", "adopt", "--move", name) })
	p.run(0, "tbx", "adopt", "--undo", name)
	for i := range kills {
		call := [][]string{{"tbx", "adopt", "--move", name}, {"tbx", "adopt", "--undo", name}, {"tbx", "adopt", name}}[i%3]
		if i%3 == 1 && is(name) != "tbx" {
			p.run(0, "tbx", "adopt", "--move", name)
		}
		if i%3 == 2 && is(name) == "tbx" {
			p.run(0, "tbx", "adopt", "--undo", name)
		}
		p.killed(whole, i, func(*os.Process) { p.killAll() }, call...)
		p.settle()
		p.run(0, "tbx", "list")
		kept(i)
		if i%3 != 2 {
			continue
		}
		if is(as) == "" {
			p.run(0, "tbx", "adopt", name)
		}
		if out := p.run(0, "tbx", "run", as, "--", "cat", "/etc/kept"); !strings.Contains(out, "kept") {
			t.Fatalf("kill %d: the copy holds %q", i, out)
		}
		p.run(0, "tbx", "rm", "--force", as)
	}
	if is(name) == "tbx" {
		p.run(0, "tbx", "adopt", "--undo", name)
	}
	kept(kills)
	p.settle()
	if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); strings.TrimSpace(out) != name {
		t.Errorf("containers are left:\n%s", out)
	}
	p.run(0, "podman", "rm", "--force", "--time", "0", name)
	p.clean(name, kills)
}
