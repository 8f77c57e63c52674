package toolbox

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tbx-project/tbx/internal/fail"
)

func TestParseName(t *testing.T) {
	for _, good := range []string{"a", "7", "Web", "debian-toolbox-12", "a.b_c-d", "a..b", strings.Repeat("x", 128)} {
		if n, err := ParseName(good); err != nil || string(n) != good {
			t.Errorf("%q: %q, %v", good, n, err)
		}
	}
}

// refuses holds ParseName to an error of its kind, on one line, with what to do.
func refuses(t *testing.T, bad ...string) {
	t.Helper()
	for _, bad := range bad {
		if n, err := ParseName(bad); !errors.Is(err, fail.Usage) {
			t.Errorf("%q was taken as %q (%v)", bad, n, err)
		} else if msg := err.Error(); strings.ContainsFunc(msg, hidden) || len(msg) > 300 || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: message %q", bad, msg)
		}
	}
}

// hidden says whether a character does something to the text around it.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r != ' ' && unicode.IsSpace(r)
}

func TestI1_NamesThatPodmanMayNotSee(t *testing.T) {
	refuses(t, "-rm", "--privileged", "../x", "a/b", "a b", "a;b", "$(id)", "`id`", "a\nb", "\na", "a\n", "", ".", "..", "-", "-a", "_a", ".a", "/",
		"a\x00", "a\tb", "a\rb", "a\x1b[2Jb", "a:b", "a@b", "a%b", "a=b", "a,b", "a*", "~", "a\\b", "a'b", "a\"b")
}

func TestI2_LongNames(t *testing.T) {
	refuses(t, strings.Repeat("x", 129), strings.Repeat("x", 300), strings.Repeat("x", 1<<20))
}

func TestI3_NamesThatLookLikeOthers(t *testing.T) {
	refuses(t, "a\u202eb", "a\u200bb", "a\u2066b", "\ufeffa", "a\u00a0b", "ä", "a\xff", "аbc", "ｗｅｂ", "a\u0301", "web\u200d", "\U0001f600")
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
