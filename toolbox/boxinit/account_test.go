package boxinit

import (
	"os"
	"strings"
	"testing"
)

// D101: gshadow(5) says of the user's groups what group(5) says, and a real name that
// was set inside stays.
func TestD101_Account(t *testing.T) {
	root := tree(t, map[string]string{
		"/bin/sh": "", "/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/etc/group": "root:x:0:\nsudo:x:27:\nproj:x:50:jane\n",
		"/etc/gshadow": "root:*::\nsudo:*::\nproj:!::jane\n",
	})
	if err := os.Chmod(root+"/bin/sh", 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		set(t, root, jane())
		if got, want := read(t, root+"/etc/gshadow"), "root:*::\nsudo:*::jane\nproj:!::\nstaff:!::\n"; got != want {
			t.Errorf("gshadow:\n%swant\n%s", got, want)
		}
	}
	passwd := strings.Replace(read(t, root+"/etc/passwd"), "Jane Doe", "Jane D,,,", 1)
	if err := os.WriteFile(root+"/etc/passwd", []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	set(t, root, jane())
	if got := read(t, root+"/etc/passwd"); got != passwd {
		t.Errorf("passwd:\n%swant\n%s", got, passwd)
	}
}
