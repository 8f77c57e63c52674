package boxinit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestX8_Named: the first process knows its shares by where they are in their file
// system, wherever that is mounted now.
func TestX8_Named(t *testing.T) {
	for _, c := range []struct {
		named Named
		root  string // of the mount that is found at the target; empty: none
		want  bool
	}{
		{Named{"/h/jane/src", "/", "h/jane/src"}, "/h/jane/src", true},
		{Named{"/h/jane/src", "/@h", "jane/src"}, "/@h/jane/src", true},
		{Named{"/h/jane/src", "/", "h/jane/src"}, "/jane/src", true},           // the homes have a disk of their own now
		{Named{"/h/jane/src", "/", "jane/src"}, "/@home/jane/src", true},       // or had one
		{Named{"/h/jane/src", "/@h", "jane/src"}, "/@h.snap/jane/src", true},   // it was brought back from a snapshot
		{Named{"/h/jane/src", "/", "h/jane/src"}, "/h/jane/.ssh", false},       // a link to the keys
		{Named{"/h/jane/a/keys", "/", "h/jane/a/keys"}, "/h/jane/keys", false}, // of the same name
		{Named{"/h/jane/src", "/", "jane/src"}, "/", false},
		{Named{"/h/jane/src", "/", "jane/src"}, "/jane/asrc", false},
		{Named{"/h/jane/src", "/", "jane/src"}, "", false},
		{Named{"/media/disk", "/", ""}, "/", true},
		{Named{"/media/disk", "/@data", ""}, "/@data", true},
		{Named{"/media/disk", "/", ""}, "/h/jane/.ssh", false},
	} {
		mounts := []MountLine{{Point: "/", Root: "/"}, {Point: "/h/jane", Root: "/volumes/x"}}
		if c.root != "" {
			mounts = append(mounts, MountLine{Point: c.named.Target, Root: c.root})
		}
		other := Named{"/h/jane", "/volumes", "x"}
		if err := CheckNamed(Args([]Named{other, c.named}), mounts); (err == nil) != c.want {
			t.Errorf("%+v with %q: %v", c.named, c.root, err)
		}
	}
	if err := CheckNamed([]string{"/h/jane/src", "/", "jane/src"}, []MountLine{
		{Point: "/h/jane/src", Root: "/jane/src"}, {Point: "/h/jane/src", Root: "/jane/.ssh"},
	}); err == nil || !strings.Contains(err.Error(), "/jane/.ssh") {
		t.Errorf("what is mounted over a share counts: %v", err)
	}
}

// TestReadMounts: a line that cannot be read is an error, however long the others.
func TestReadMounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	read := func(text string) ([]MountLine, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadMounts(file)
	}
	long := `23 1 0:5 / / rw - overlay o lowerdir=` + strings.Repeat("x", 200<<10) + "\n"
	got, err := read(long + `24 23 8:1 /a\040b /x\134y ro,nosuid shared:1 master:2 - ext4 /dev/sda1 rw` + "\n")
	if err != nil || len(got) != 2 || got[1].ID != 24 || got[1].Parent != 23 || got[1].Device != "8:1" || got[1].Root != "/a b" ||
		got[1].Point != `/x\y` || got[1].FSType != "ext4" || strings.Join(got[1].Options, ",") != "ro,nosuid" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"x", "24 23 8:1 / / rw", "a 23 8:1 / / rw - ext4 x rw", "24 - 8:1 / / - ext4 x rw"} {
		if got, err := read(long + bad + "\n"); err == nil {
			t.Errorf("%q was taken: %+v", bad, got)
		}
	}
}
