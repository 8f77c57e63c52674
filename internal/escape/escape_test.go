package escape_test

import (
	"testing"

	"github.com/tbx-project/tbx/internal/escape"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain \\ \"ä⬢":      "plain \\ \"ä⬢",
		"a\nb\t\x1b[2J\x00":  `a\nb\t\x1b[2J\x00`,
		"\u202egpj.exe":      `\u202egpj.exe`,
		"\xff\xfeok\xc3":     `\xff\xfeok\xc3`,
		"\u2028\u00a0\u0085": `\u2028\u00a0\u0085`,
		"\ufffd":             "\ufffd",
	} {
		if got := escape.Text(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// What is quoted can be told from everything else that is.
func TestQuoteIsOneToOne(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"a\nb", `a\nb`, `a\\nb`, "\xff", `\xff`, "\xfe", "\ufffd", `\ufffd`, `"`, `\"`, `\`, `\\`, "", "\u202e", `\u202e`} {
		q := escape.Quote(s)
		if other, ok := seen[q]; ok {
			t.Errorf("%q and %q are both %s", s, other, q)
		}
		seen[q] = s
	}
}
