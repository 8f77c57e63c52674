package join

import (
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// D63: who is in which group inside.
func TestD63_Memberships(t *testing.T) {
	const table = "root:x:0:\nsudo:x:27:jane\nwheel:x:10:jane,joe\nproj:x:1001:joe,jane\njan:x:5:jan\nbroken\nbad:x:no:jane\nminus:x:-1:jane\nlast:x:7:jane"
	g := memberships(table+"\nown:x:1000:jane", "jane", 1000)
	if !slices.Equal(g.IDs, []int{27, 10, 1001, 7}) || !slices.Equal(g.Given, []string{"proj", "last"}) {
		t.Errorf("%+v", g)
	}
	if g := memberships(table, "joe", 1000); !slices.Equal(g.Given, []string{"proj"}) {
		t.Errorf("joe: %+v", g)
	}
	if g := memberships("sudo:x:27:jane\n", "jane", 1000); len(g.Given) != 0 {
		t.Errorf("what tbx gives counts as given inside: %+v", g)
	}
}

func TestD63_GroupsWithANumber(t *testing.T) {
	const gidMap = "         0          1       1000\n      1000          0          1\n      1001       1001      64536\n"
	for gid, want := range map[int]int{0: 1000, 1: 0, 44: 43, 1000: 999, 1001: 1001, 70000: -1} {
		got, ok := mapped(gidMap, gid)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%d is %d inside, want %d", gid, got, want)
		}
	}
}

// D63: root inside can make anything of the table.
func TestD63_TableThatIsNone(t *testing.T) {
	target := inside(t, &Record{}, []string{"/etc/group"}, nil)
	if got := target.readTable("/etc/group"); got != "" {
		t.Errorf("a directory: %q", got)
	}
	target = inside(t, &Record{}, []string{"/etc"}, [][2]string{{"/etc/group", "../../../../etc/passwd"}})
	if got := target.readTable("/etc/group"); got != "" {
		t.Error("the host's file was read")
	}
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "group"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	fifo := &Target{Record: &Record{}, root: fd}
	defer fifo.Close()
	if got := fifo.readTable("/group"); got != "" { // and it is not waited for
		t.Errorf("a FIFO: %q", got)
	}
}
