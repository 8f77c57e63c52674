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

// TestE119_KilledApply kills apply with all that it started, or podman's service with it, at
// random moments: of creating, changing and making anew. The next apply brings everything to
// what is declared. What was in a toolbox that was to be made anew stays, whatever is pruned.
func TestE119_KilledApply(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const one, two = prefix + "kill-apply", prefix + "kill-apply-two"
	images := []string{image("busybox"), p.otherImage()}
	dir := filepath.Join(p.dir, "project")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "boxes.toml")
	declare := func(n, from int) {
		text := ""
		for _, name := range []string{one, two} {
			text += fmt.Sprintf(`[toolbox.%s]
image = "%s"
env = ["N=%d"]
setup = ["echo ran >>/var/tmp/ran-%d"]
files."/etc/n" = { text = "%[3]d\n" }
`, name, images[from], n, n)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	apply := []string{"tbx", "apply", "--yes", "--no-snapshot", file}
	declare(0, 0)
	whole := length(func() { p.run(0, apply...) })
	p.run(0, "tbx", "run", one, "--", "sh", "-c", "echo first >/var/tmp/mine")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d, apply takes %v", seed, whole)
	from := 0
	for i := range editKills(t) {
		n := i + 1
		if i%3 == 1 { // both are made anew
			from = 1 - from
			p.run(0, "tbx", "stop", one, two)
		}
		if i%3 == 2 { // one is made again
			p.run(0, "tbx", "rm", "--force", "--yes", two)
		}
		declare(n, from)
		p.killWithin(time.Duration(random.Int64N(int64(whole*5/4))), i%4 == 3, apply...)
		p.settle()
		p.run(0, "tbx", "list")
		p.run(0, append(apply[:len(apply)-1:len(apply)-1], "--force", "--prune", file)...)
		if out, code := p.try("tbx", "plan", "--exit-code", file); code != 0 {
			t.Errorf("kill %d: there is still something to do: %d\n%s", i, code, out)
		}
		for _, name := range []string{one, two} {
			out := p.run(0, "tbx", "run", name, "--", "sh", "-c", fmt.Sprintf("echo N is $N; cat /etc/n; sort -u /var/tmp/ran-%d", n))
			if !strings.HasSuffix(out, fmt.Sprintf("N is %d\n%d\nran\n", n, n)) {
				t.Errorf("kill %d: toolbox %s holds:\n%s", i, name, out)
			}
		}
		p.keptBefore(i, one)
		p.run(0, "tbx", "run", one, "--", "sh", "-c", "echo first >/var/tmp/mine")
		p.settle()
		if out := p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}"); len(strings.Fields(out)) != 2 {
			t.Errorf("kill %d: containers are left:\n%s", i, out)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("kill %d: %v: %v", i, entries, err)
		}
	}
	p.run(0, "tbx", "rm", "--force", one, two)
	p.clean(one, kills)
}

// keptBefore fails unless what the user put into a toolbox is in it, or in those that it was
// before, which are removed.
func (p *place) keptBefore(i int, name string) {
	p.t.Helper()
	found := false
	for _, of := range strings.Fields(p.run(0, "tbx", "list", "--names")) {
		if !strings.HasPrefix(of, name) {
			continue
		}
		out, _ := p.try("tbx", "run", of, "--", "cat", "/var/tmp/mine")
		found = found || strings.HasSuffix(out, "first\n")
	}
	if !found {
		p.t.Fatalf("kill %d: what was in toolbox %s is lost:\n%s", i, name, p.run(0, "podman", "ps", "--all", "--external"))
	}
	for _, of := range strings.Fields(p.run(0, "tbx", "list", "--names")) {
		if strings.Contains(of, "-before") {
			p.run(0, "tbx", "rm", "--force", of)
		}
	}
}
