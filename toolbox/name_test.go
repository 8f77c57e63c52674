package toolbox

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tbx-project/tbx/internal/fail"
)

func TestParseName(t *testing.T) {
	for _, good := range []string{"a", "7", "Web", "debian-toolbox-12", "a.b_c-d", "a..b", strings.Repeat("x", 128)} {
		if n, err := ParseName(good); err != nil || string(n) != good {
			t.Errorf("%q: %q, %v", good, n, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "-", "-a", "_a", ".a", "a/b", "/", "a b", "a\nb", "a\x00", "a\tb", "a\u202eb", "a\u00a0b", "ä", "a\xff", "а", "a:b", "a@b", "a%b", strings.Repeat("x", 129), strings.Repeat("x", 300)} {
		if n, err := ParseName(bad); !errors.Is(err, fail.Usage) {
			t.Errorf("%q was taken as %q (%v)", bad, n, err)
		} else if msg := err.Error(); strings.ContainsAny(msg, "\n\x00\t\u202e\u00a0") || len(msg) > 300 || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: message %q", bad, msg)
		}
	}
}

// FuzzParseName: whatever is taken is one file name that podman takes too.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"web", "..", "a/b", "-x", "a\u202eb", "\xff"} {
		f.Add(s)
	}
	podmans := regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("message %q", err.Error())
			}
			return
		}
		if string(n) != s || !podmans.MatchString(s) || filepath.Base(s) != s || len(s) > 128 {
			t.Errorf("%q was taken", s)
		}
	})
}
