package toolbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox/join"
)

// TestYieldBy: what a session is raised by outweighs the first process, and is
// nothing beside what programs of the host take.
func TestYieldBy(t *testing.T) {
	for limit, want := range map[int64]int64{16 << 20: 500, 100 << 20: 80, 1 << 30: 8, 18 << 30: 1} {
		if got := yieldBy(limit); got != want {
			t.Errorf("%d: %d, want %d", limit, got, want)
		}
		if got := yieldBy(limit) * limit / 1000; got < pauseMemory && limit > 16<<20 {
			t.Errorf("%d: %d bytes are less than the first process has", limit, got)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	data, err := os.ReadFile("/proc/self/cgroup")
	path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "0::")
	if err != nil || !ok || path == "/" {
		t.Skip("this process has no cgroup of version 2 below the root")
	}
	root := t.TempDir()
	if got := memoryLimit(root, os.Getpid()); got != 0 {
		t.Errorf("without the controller: %d", got)
	}
	dir := filepath.Join(root, path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]int64{"max\n": 0, "104857600\n": 104857600} {
		if err := os.WriteFile(filepath.Join(dir, "memory.max"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := memoryLimit(root, os.Getpid()); got != want {
			t.Errorf("%q: %d, want %d", content, got, want)
		}
	}
}

// TestX32_ProcessesCounted: a toolbox is full when podman could start nothing in it.
func TestX32_ProcessesCounted(t *testing.T) {
	data, err := os.ReadFile("/proc/self/cgroup")
	path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "0::")
	if err != nil || !ok || path == "/" {
		t.Skip("this process has no cgroup of version 2 below the root")
	}
	root := t.TempDir()
	dir := filepath.Join(root, path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now, limit string
		full       bool
	}{{"4096", "4096", true}, {"4094", "4096", true}, {"4000", "4096", false}, {"7", "max", false}} {
		for name, content := range map[string]string{"pids.current": c.now, "pids.max": c.limit} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := checkProcesses(root, &join.Record{Name: "cell", PID: os.Getpid()})
		if (err != nil) != c.full || c.full && !strings.Contains(err.Error(), c.now+" of "+c.limit) {
			t.Errorf("%s of %s: %v", c.now, c.limit, err)
		}
	}
}
