package escape_test

import (
	"bytes"
	"encoding/json"
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

// TestS30_JSON: what a terminal would heed, or that hides, is escaped in JSON, and means
// the same as before.
func TestS30_JSON(t *testing.T) {
	for _, text := range []string{"plain \u00e9 \u6f22 \U0001F600", "csi \u009b31m", "del \x7f", "bidi \u202e\u2066", "nbsp \u00a0", "hidden \U000E0041 \u3164", "esc \x1b]52;c;x\x07", "a\nb"} {
		var plain bytes.Buffer
		enc := json.NewEncoder(&plain)
		enc.SetIndent("", "  ")
		want := map[string]string{text: text}
		if err := enc.Encode(want); err != nil {
			t.Fatal(err)
		}
		out := escape.JSON(plain.Bytes())
		for _, r := range string(out) {
			if r != '\n' && escape.Text(string(r)) != string(r) {
				t.Errorf("%q: %q has %U", text, out, r)
			}
		}
		var got map[string]string
		if err := json.Unmarshal(out, &got); err != nil || got[text] != text {
			t.Errorf("%q: %q, %v", text, out, err)
		}
		if strings.HasPrefix(text, "plain") && !bytes.Equal(out, plain.Bytes()) {
			t.Errorf("%q was changed", out)
		}
	}
}
