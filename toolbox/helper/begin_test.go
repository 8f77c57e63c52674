package helper

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// D99: where a toolbox cannot be looked into, its directory is found inside, and no
// command runs in another one.
func TestD99_Begin(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mine, other := filepath.Join(root, "mine"), filepath.Join(root, "other")
	for _, dir := range []string{mine + "/below", other} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(mine, &st); err != nil {
		t.Fatal(err)
	}
	same := func(dir string) BeginAt { return BeginAt{Dir: dir, Same: true} }
	for _, c := range []struct {
		name string
		b    Beginning
		want string // empty: none
	}{
		{"the caller's", Beginning{Places: []BeginAt{same(root + "/none"), same(other), same(mine)}}, mine},
		{"another of its name", Beginning{Places: []BeginAt{same(other)}}, ""},
		{"the toolbox's own", Beginning{Places: []BeginAt{same(root + "/none"), {Dir: other}}}, other},
		{"below it", Beginning{Places: []BeginAt{same(mine)}, Below: "below"}, mine + "/below"},
		{"nothing below it", Beginning{Places: []BeginAt{same(mine)}, Below: "none", Instead: []string{root}}, ""},
		{"for a shell", Beginning{Places: []BeginAt{same(other)}, Instead: []string{root + "/none", root}}, root},
	} {
		t.Chdir("/")
		c.b.Dev, c.b.Ino, c.b.Why = st.Dev, st.Ino, "it is not there"
		dir, err := c.b.enter()
		at, _ := os.Getwd()
		if dir != c.want || (err == nil) != (c.want != "") || c.want == "" && at != "/" || c.want != "" && at != c.want {
			t.Errorf("%s: %q, %v, and stands in %s; want %q", c.name, dir, err, at, c.want)
		}
	}
	order, _ := json.Marshal(Beginning{Why: "it is not there"})
	for _, args := range [][]string{nil, {string(order)}, {"{", "true"}, {string(order), "true"}} {
		if code := Begin(args); code != 125 {
			t.Errorf("%q: %d", args, code)
		}
	}
}
