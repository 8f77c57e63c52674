package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/fail"
)

// FormatFlag adds --format. The schemas of the JSON are in docs/schema.
func FormatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "text", "print as `FORMAT`: text or json")
	cmd.RegisterFlagCompletionFunc("format", Words("text", "json"))
}

// CheckFormat refuses a value of --format that there is not.
func CheckFormat(format string) error {
	if format != "text" && format != "json" {
		return fail.New(fail.Usage, "there is no format %q", format).Hint("there are: text, json")
	}
	return nil
}

// PrintJSON writes v, indented.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Plural writes a number of things, whose plural has an s.
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

// Bar draws the share of total, which is more than 0, that is done.
func Bar(done, total int64) string {
	const width = 20
	n := int(float64(width) * float64(max(0, min(done, total))) / float64(total))
	return strings.Repeat("#", n) + strings.Repeat(".", width-n)
}

// Size writes a number of bytes for people, in powers of ten.
func Size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit && exp < 4; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %cB", float64(n)/float64(div), "kMGTP"[exp])
}

// Ago writes how long something is past, in its largest unit.
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

// Dash is s, or a dash where there is nothing to show.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// OrEmpty keeps null out of JSON.
func OrEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
