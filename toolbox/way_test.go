package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestX33_WayOfEachMount: what is found in a home is said with both paths, inside and on the host.
func TestX33_WayOfEachMount(t *testing.T) {
	b := &Box{}
	b.Name = "cell"
	v := Mapping{Source: "/volume", Target: "/home/me"}
	if err := b.obstacle(v, strings.NewReader("")); err != nil {
		t.Error(err)
	}
	err := b.obstacle(v, strings.NewReader(`{"path":"src/job","at":"src","is":"a link"}`+"\n"))
	if err == nil || !strings.Contains(err.Error(), "on the way to /home/me/src/job, /home/me/src is a link") {
		t.Error(err)
	}
	if err := b.obstacle(v, strings.NewReader("other")); err == nil {
		t.Error("an answer in another language is taken")
	}
}

// TestX33_Strays: an empty directory of another user's is removed, and nothing of one's own.
func TestX33_Strays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	dir := t.TempDir()
	for path, uid := range map[string]int{"0123/": 0, "0123/src/": 4321, "own/": 4321, "full/": 4321, "full/mine/": 0} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, path), 0o755), os.Chown(filepath.Join(dir, path), uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	clearStrays(dir)
	for path, stays := range map[string]bool{"0123": true, "0123/src": false, "own": false, "full": true, "full/mine": true} {
		if _, err := os.Lstat(filepath.Join(dir, path)); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}
