//go:build system

package system_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// otherImage makes an image that differs from busybox in /etc/release.
func (p *place) otherImage() string {
	const other = "localhost/systest-other:2"
	p.run(0, "sh", "-c", `set -e; c=$(podman create "$1" sh); echo 2 >"$3/release"; podman cp "$3/release" "$c:/etc/release"; podman commit -q "$c" "$2"; podman rm "$c"`,
		"sh", image("busybox"), other, p.dir)
	return other
}

// TestE165_KilledRebase kills tbx with all that it started, or podman's service with it, at a
// random moment of a rebase or of the way back. The next call finds one toolbox of the name,
// made from either image, with all that was in it and the snapshots that belong to it.
func TestE165_KilledRebase(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-rebase"
	images := []string{image("busybox"), p.otherImage()}
	p.run(0, "tbx", "create", "--image", images[0], name)
	p.run(0, "tbx", "run", "--root", name, "--", "sh", "-c", "set -e; mkdir -p /opt/d; echo kept >/opt/d/kept; echo first >/etc/made")
	rebase := func(to int) []string { return []string{"tbx", "rebase", "--yes", "--image", images[to], name} }
	whole := length(func() { p.run(0, rebase(1)...) })
	back := length(func() { p.run(0, "tbx", "snapshot", "rollback", name, "before-rebase") })
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d, a rebase takes %v, the way back %v", seed, whole, back)
	for i := range editKills(t) {
		now := 0
		if strings.Contains(p.run(0, "tbx", "inspect", name), images[1]) {
			now = 1
		}
		call, takes := rebase(1-now), whole
		if out := p.run(0, "tbx", "snapshot", "list", name); i%2 == 1 && strings.Contains(out, "before-rollback ") {
			call, takes = []string{"tbx", "snapshot", "rollback", name, "before-rollback"}, back
		}
		if i%3 == 2 {
			p.run(0, "tbx", "stop", name)
		}
		p.killWithin(time.Duration(random.Int64N(int64(takes*5/4))), i%4 == 3, call...)
		where := fmt.Sprintf("kill %d, %s", i, strings.Join(call[1:3], " "))
		if out := p.run(0, "tbx", "list", "--names"); strings.Count("\n"+out, "\n"+name+"\n") != 1 {
			t.Fatalf("%s: list:\n%s%s", where, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		out, code := p.try("tbx", "run", name, "--", "cat", "/opt/d/kept", "/etc/made")
		if code != 0 || !strings.HasSuffix(out, "kept\nfirst\n") {
			t.Fatalf("%s: run: %d\n%s%s", where, code, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		release, _ := p.try("tbx", "run", name, "--", "cat", "/etc/release")
		if is := strings.Contains(p.run(0, "tbx", "inspect", name), images[1]); is != strings.HasSuffix(release, "2\n") {
			t.Errorf("%s: from image 2: %v, and its file says %s", where, is, release)
		}
		if out := p.run(0, "podman", "ps", "--all", "--format", "{{.Names}}"); strings.Contains(out, ".tbx-") {
			t.Errorf("%s: containers are left:\n%s", where, out)
		}
	}
	// Every snapshot that is listed can be gone back to.
	for _, line := range strings.Split(strings.TrimSpace(p.run(0, "tbx", "snapshot", "list", name)), "\n")[1:] {
		snapshot := strings.Fields(line)[1]
		p.run(0, "tbx", "snapshot", "rollback", name, snapshot)
		if out := p.run(0, "tbx", "run", name, "--", "cat", "/opt/d/kept"); !strings.HasSuffix(out, "kept\n") {
			t.Errorf("snapshot %s: %s", snapshot, out)
		}
	}
	p.run(0, "tbx", "rm", "--force", "--yes", name)
	p.settle()
	if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); strings.TrimSpace(out) != "" {
		t.Errorf("containers are left:\n%s", out)
	}
}
