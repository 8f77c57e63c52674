package escape_test

import (
	"strings"
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

// Characters that nobody sees are written out, whatever category they are in.
func TestB18_InvisibleCharacters(t *testing.T) {
	for _, r := range []rune{'\u00ad', '\u034f', '\u061c', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u180b', '\u180e', '\u2000', '\u200b', '\u200d', '\u2028',
		'\u202e', '\u202f', '\u205f', '\u2060', '\u2064', '\u2066', '\u206f', '\u2800', '\u3000', '\u3164', '\ufe00', '\ufe0f', '\ufeff', '\uffa0', '\ufff9',
		'\U0001d159', '\U0001d173', '\U000e0001', '\U000e0020', '\U000e0100', '\U000e01ef', '\U000f0000', '\u0085', '\u009b', '\u007f'} {
		if got := escape.Text("a" + string(r) + "b"); !strings.HasPrefix(got, `a\`) {
			t.Errorf("%U is shown as %q", r, got)
		}
	}
	const visible = "äß漢字한글עבריתالعربية🙂⠁é"
	if got := escape.Text(visible); got != visible {
		t.Errorf("%q became %q", visible, got)
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
