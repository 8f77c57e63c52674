//go:build system

package system_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE120_KilledFreeze kills freeze with all that it started, or podman's service with it, at
// random moments, of a toolbox that runs and of one that does not. The toolbox is as it was,
// and the next freeze writes the same bytes and leaves no container, image or half file.
func TestE120_KilledFreeze(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name = prefix + "kill-freeze"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	p.run(0, "tbx", "run", "--root", name, "--", "sh", "-c", "mkdir -p /opt/d; echo kept >/opt/d/kept; chmod 4755 /opt/d/kept")
	dir := filepath.Join(p.dir, "frozen")
	freeze := []string{"tbx", "freeze", "--yes", "--output", dir, name}
	whole := length(func() { p.run(0, freeze...) })
	content := func() string {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all += fmt.Sprintf("%s\n%s\n", e.Name(), data)
		}
		return all
	}
	first := content()
	if strings.Count(first, "/opt/d/kept") < 1 {
		t.Fatal(first)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d, a freeze takes %v", seed, whole)
	for i := range editKills(t) {
		if i%3 == 2 {
			p.run(0, "tbx", "stop", name)
		}
		p.killWithin(time.Duration(random.Int64N(int64(whole*5/4))), i%4 == 3, freeze...)
		p.settle()
		if out := p.run(0, "tbx", "list", "--names"); out != name+"\n" {
			t.Fatalf("kill %d: list:\n%s%s", i, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		if out, code := p.try("tbx", "run", name, "--", "cat", "/opt/d/kept"); code != 0 || !strings.HasSuffix(out, "kept\n") {
			t.Fatalf("kill %d: run: %d\n%s%s", i, code, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
		p.run(0, freeze...)
		if is := content(); is != first {
			t.Errorf("kill %d: other bytes: %s", i, firstDifference(first, is))
		}
		p.settle()
		p.endBuilds()
		if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); strings.TrimSpace(out) != name {
			t.Errorf("kill %d: containers are left:\n%s", i, out)
		}
		if out := p.run(0, "podman", "images", "--format", "{{.Repository}}"); strings.Contains(out, "freeze") {
			t.Errorf("kill %d: images are left:\n%s", i, out)
		}
	}
	p.run(0, "tbx", "rm", "--force", name)
	p.clean(name, kills)
}

// endBuilds removes what podman build leaves of a container that it was killed in building:
// nobody but podman's user can tell whose that is.
func (p *place) endBuilds() {
	p.t.Helper()
	for _, name := range strings.Fields(p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}")) {
		if strings.Contains(name, "-working-container") {
			p.run(0, "podman", "rm", "--force", name)
		}
	}
}
