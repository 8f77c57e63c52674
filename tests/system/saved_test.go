//go:build system

package system_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noParts fails if a copy or an archive is left half, in podman's storage or in a directory.
func (p *place) noParts(i int, dir string) {
	p.t.Helper()
	if out := p.run(0, "podman", "unshare", "find", p.dir+"/data/containers/storage/overlay", "-maxdepth", "2", "-name", "*.tbx-part"); strings.TrimSpace(out) != "" {
		p.t.Errorf("kill %d: left behind: %s", i, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "f.tbx" && e.Name() != "good.tbx" {
			p.t.Errorf("kill %d: left behind: %s", i, e.Name())
		}
	}
}

// TestE118_KilledSaveAndLoad kills save and load with all that they started, or podman's
// service alone, at random moments. A file is whole or not there, and so is a toolbox; the
// one that is saved stays as it is, and the next call of the same leaves nothing half.
func TestE118_KilledSaveAndLoad(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const name, other = prefix + "kill-save", prefix + "kill-load"
	p.run(0, "tbx", "create", "--image", image("busybox"), name)
	p.run(0, "tbx", "run", "--root", name, "--", "sh", "-c", `mkdir /a; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo kept >/a/$i; done`)
	dir := filepath.Join(p.dir, "files")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, good := filepath.Join(dir, "f.tbx"), filepath.Join(dir, "good.tbx")
	load := []string{"tbx", "load", "--yes", "--name", other, good}
	saving := length(func() { p.run(0, "tbx", "save", name, good) })
	loading := length(func() { p.run(0, load...) })
	p.run(0, "tbx", "rm", "--force", other)
	whole := func(of string, i int) {
		t.Helper()
		out, code := p.try("tbx", "run", of, "--", "sh", "-c", "ls /a | wc -l; sort -u /a/*")
		if code != 0 || !strings.HasSuffix(out, "300\nkept\n") {
			t.Fatalf("kill %d: toolbox %s: %d\n%s%s", i, of, code, out, p.run(0, "podman", "ps", "--all", "--external"))
		}
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d, save takes %v, load %v", seed, saving, loading)
	for i := range editKills(t) {
		call, takes := []string{"tbx", "save", name, file}, saving
		if i%2 == 1 {
			call, takes = load, loading
		} else if i%4 == 2 {
			p.run(0, "tbx", "stop", name)
		}
		p.killWithin(time.Duration(random.Int64N(int64(takes*5/4))), i%3 == 2, call...)
		p.settle()
		if _, err := os.Stat(file); err == nil {
			p.run(0, "tbx", "load", "--dry-run", file)
			os.Remove(file)
		}
		if out := p.run(0, "tbx", "list", "--names"); strings.Contains("\n"+out, "\n"+other+"\n") {
			whole(other, i)
			p.run(0, "tbx", "rm", "--force", other)
		}
		whole(name, i)
		p.run(0, "tbx", "save", name, file)
		p.run(0, load...)
		whole(other, i)
		p.run(0, "tbx", "rm", "--force", other)
		p.settle()
		if out := strings.TrimSpace(p.run(0, "podman", "ps", "--all", "--external", "--format", "{{.Names}}")); out != name {
			t.Errorf("kill %d of %s: containers are left:\n%s", i, call[1], out)
		}
		p.noParts(i, dir)
		os.Remove(file)
	}
	p.run(0, "tbx", "rm", "--force", name)
	p.clean(name, kills)
}
