package boxinit

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// D1: ids for containers inside are those of the toolbox's own map, beside root and
// the user.
func TestD1_FreeIDs(t *testing.T) {
	for _, c := range []struct {
		uidMap string
		own    int
		want   []idRange
	}{
		{"0 1 1000\n1000 0 1\n1001 1001 64536\n", 1000, []idRange{{1, 999}, {1001, 64536}}},
		{"      1000          0          1\n         0          1       1000\n      1001       1001      64536\n", 1000, []idRange{{1, 999}, {1001, 64536}}},
		{"0 1 65536\n1234567 0 1\n", 1234567, []idRange{{1, 65535}}},
		{"0 0 4294967295\n", 1000, []idRange{{1, 999}, {1001, 4294966294}}},
		{"0 1000 1\n", 0, nil},
		{"0 1 1\n1000 0 1\n", 1000, nil},
		{"nonsense\n", 1000, nil},
	} {
		if got := freeIDs(parseIDMap(c.uidMap), c.own); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q without %d: %v, want %v", c.uidMap, c.own, got, c.want)
		}
	}
}

// D1: what an image says of the user's ids is kept if the toolbox has them.
func TestD1_SubIDs(t *testing.T) {
	free := []idRange{{1, 999}, {1001, 64536}}
	u := User{Name: "dev", UID: 1000}
	ours := []string{"dev:1:999", "dev:1001:64536"}
	for _, c := range []struct{ lines, want []string }{
		{nil, ours},
		{[]string{"dev:100000:65536"}, ours},
		{[]string{"other:100000:65536", "dev:100000:65536"}, slices.Concat([]string{"other:100000:65536"}, ours)},
		{[]string{"1000:100000:65536"}, ours},
		{[]string{"dev:2000:3000"}, []string{"dev:2000:3000"}},
		{[]string{"1000:1001:64536", "dev:1:999"}, []string{"1000:1001:64536", "dev:1:999"}},
		{[]string{"dev:900:200"}, ours}, // the user's own id is among them
		{[]string{"dev:x:y", "# a comment"}, slices.Concat([]string{"# a comment"}, ours)},
		{ours, ours},
	} {
		if got := subIDs(c.lines, u, free); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
	if got := subIDs([]string{"dev:1:999"}, u, nil); len(got) != 0 {
		t.Errorf("ids that there are not: %q", got)
	}
}

// D1: a store that was moved by a link is found, also where the link leads to nothing yet.
func TestD1_FollowLinks(t *testing.T) {
	dir := t.TempDir()
	link := func(to, at string) {
		if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	link("b", "a")
	link(filepath.Join(dir, "none"), "b")
	link("loop", "loop")
	if got, want := followLinks(filepath.Join(dir, "a")), filepath.Join(dir, "none"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := followLinks(filepath.Join(dir, "loop")); got != filepath.Join(dir, "loop") {
		t.Errorf("%s", got)
	}
}

// D14: an image whose sudo does not read the rule that tbx writes.
func TestD14_SudoersWithoutRules(t *testing.T) {
	for text, fine := range map[string]bool{
		"root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n": true, "#includedir /etc/sudoers.d\n": true, "root ALL=(ALL) ALL\n": false,
		"# includedir /etc/sudoers.d\n": false, "@includedir /etc/other.d\n": false, "  @includedir \"/etc/sudoers.d/\"": true,
	} {
		b := &box{root: tree(t, map[string]string{"/etc/sudoers": text})}
		if err := b.rulesAreRead(); (err == nil) != fine {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := (&box{root: tree(t, nil)}).rulesAreRead(); err != nil {
		t.Errorf("without sudo: %v", err)
	}
}
