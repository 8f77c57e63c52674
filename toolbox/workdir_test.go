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
	if cwd, here, err := whereabouts([]string{"PWD=/nowhere"}); err != nil || cwd != dir || here == nil {
		t.Errorf("%s, %v", cwd, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if cwd, _, err := whereabouts([]string{"PWD=" + link + "/"}); err != nil || cwd != link {
		t.Errorf("by a link: %s, %v", cwd, err)
	}
	if err := os.Mkdir("gone", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir("gone")
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	for _, pwd := range []string{"", "PWD=" + filepath.Join(dir, "gone"), "PWD=" + dir} {
		if cwd, _, err := whereabouts([]string{pwd}); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("a directory that is gone is %q with %q: %v", cwd, pwd, err)
		}
	}
}
