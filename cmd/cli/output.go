package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Format is the value of --format: text or json. The schemas of the JSON are in
// docs/schema.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
)

// String implements pflag.Value.
func (f *Format) String() string { return string(*f) }

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	if s != string(Text) && s != string(JSON) {
		return fail.New(fail.Usage, "there is no format %q", s).Hint("there are: text, json")
	}
	*f = Format(s)
	return nil
}

// Type implements pflag.Value.
func (f *Format) Type() string { return "string" }

// FormatFlag adds --format.
func FormatFlag(cmd *cobra.Command, format *Format) {
	*format = Text
	cmd.Flags().Var(format, "format", "print as `FORMAT`: text or json")
	cmd.RegisterFlagCompletionFunc("format", Words("text", "json"))
}

// Print writes a command's result: v as JSON, or the text that text prints.
func (e *Env) Print(format Format, v any, text func() error) error {
	e.Progress().Close()
	if format == JSON {
		return PrintJSON(e.Out, v)
	}
	return text()
}

// PrintJSON writes v, indented.
func PrintJSON(w io.Writer, v any) error { return printJSON(w, v, "  ") }

// PrintJSONLine writes v on one line.
func PrintJSONLine(w io.Writer, v any) error { return printJSON(w, v, "") }

func printJSON(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err == nil {
		_, err = w.Write(escape.JSON(text.Bytes()))
	}
	return err
}

// Plural writes a number of things whose plural ends in s.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// ShellQuote writes s as one word of sh.
func ShellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,@%+", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Quoted writes argv as a line of sh.
func Quoted(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = ShellQuote(a)
	}
	return strings.Join(out, " ")
}

// SortedKeys returns the keys of m in order.
func SortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Itoa writes n in decimals.
func Itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Bar draws the part of total that is done. total must be more than 0.
func Bar(done, total int64) string {
	const width = 20
	n := int(float64(width) * float64(max(0, min(done, total))) / float64(total))
	return strings.Repeat("#", n) + strings.Repeat(".", width-n)
}

// Ago writes how long ago something was, in its largest unit.
func Ago(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		name string
		d    time.Duration
	}{
		{"year", 365 * day}, {"month", 30 * day}, {"week", 7 * day}, {"day", day}, {"hour", time.Hour}, {"minute", time.Minute},
	} {
		if n := int(d / u.d); n == 1 {
			return "1 " + u.name + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "just now"
}

// Dash returns s, or a dash if s is empty.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// OrEmpty keeps null out of JSON.
func OrEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
