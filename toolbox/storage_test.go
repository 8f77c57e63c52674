package toolbox

import (
	"os"
	"strings"
	"testing"
)

// TestD93_SlowStorage: what is proposed against slow storage works where it is proposed:
// on an overlay podman refuses its own driver of that name.
func TestD93_SlowStorage(t *testing.T) {
	store := t.TempDir()
	for _, dir := range []string{"/overlay", "/overlay-containers", "/vfs-containers"} {
		if err := os.Mkdir(store+dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	vfs, overlay := store+"/vfs-containers/containers.json", store+"/overlay-containers/containers.json"
	check := func(table string, onOverlay bool, want string) {
		t.Helper()
		text, hint := slowStorage(table, onOverlay)
		if (want == "") != (text == "") || !strings.Contains(hint, want) {
			t.Errorf("%t: %q, %q", onOverlay, text, hint)
		}
		if onOverlay && strings.Contains(hint, "leave mount_program out") || !onOverlay && strings.Contains(hint, `mount_program = `) {
			t.Errorf("%t: the wrong way round: %q", onOverlay, hint)
		}
	}
	check(vfs, false, `driver = "overlay"`)
	check(vfs, true, `mount_program = "/usr/bin/fuse-overlayfs"`)
	check(overlay, false, "")
	check(overlay, true, "")
	if err := os.WriteFile(store+"/overlay/.has-mount-program", []byte("true"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(overlay, false, "leave mount_program out")
	check(overlay, true, "another disk")
}
