package toolbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// D6: what cannot be named is not taken for another directory.
func TestD6_Whereabouts(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if at, err := whereabouts([]string{"PWD=/nowhere"}); err != nil || at.cwd != dir || at.way != dir || at.stat.Ino == 0 {
		t.Errorf("%v, %v", at, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if at, err := whereabouts([]string{"PWD=" + link + "/"}); err != nil || at.way != link || at.cwd != dir {
		t.Errorf("by a link: %v, %v", at, err)
	}
	if err := os.Mkdir("gone", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir("gone")
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	for _, pwd := range []string{"", "PWD=" + filepath.Join(dir, "gone"), "PWD=" + dir} {
		if at, err := whereabouts([]string{pwd}); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("a directory that is gone is %v with %q: %v", at, pwd, err)
		}
	}
}
