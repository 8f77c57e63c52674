// Package escape makes text from outside safe to print on a terminal or in a log line. It
// is for display only, never for the input of a program.
package escape

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns s with control characters, invalid UTF-8 and characters that
// reorder or hide text (bidi controls and other Unicode format characters)
// written as Go escapes, so that it stays on one line and looks like what it is.
func Text(s string) string {
	if safe(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + string(hex[s[0]>>4]) + string(hex[s[0]&15]))
		case printable(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// JSON escapes JSON text further, by \u escapes, which do not change its meaning:
// encoding/json leaves the control characters from U+007F to U+009F, which terminals
// obey, and all characters that hide or reorder text.
func JSON(text []byte) []byte {
	if safe(strings.ReplaceAll(string(text), "\n", " ")) {
		return text
	}
	var out []byte
	for _, r := range string(text) {
		switch {
		case r == '\n', printable(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

const hex = "0123456789abcdef"

// Quote returns s in double quotes, escaped as Text does, backslashes too: two
// texts never look the same.
func Quote(s string) string {
	return `"` + Text(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)) + `"`
}

func safe(s string) bool {
	for _, r := range s {
		if !printable(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

// printable excludes category Cf, which holds the bidi controls, all spaces but the
// ordinary one, and letters and symbols that nothing is drawn for: the Hangul
// fillers, variation selectors and other code points that Unicode lets a program
// ignore, the Braille cell without dots, and the note without a head.
func printable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		r != '\u2800' && r != '\U0001D159'
}
