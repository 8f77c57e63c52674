package images

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// HostOS is what os-release(5) says of the host; absent keys are "".
type HostOS struct {
	ID              string   // "linux" when absent, as the manual page demands
	IDLike          []string // closest relative first
	VersionID       string
	VersionCodename string
	VariantID       string
	PrettyName      string
}

// ParseOSRelease reads the format of os-release(5): shell assignments without
// expansion. Lines that are not assignments are skipped, as that page asks of
// readers; of a key that comes twice the last counts.
func ParseOSRelease(r io.Reader) (HostOS, error) {
	os := HostOS{ID: "linux", PrettyName: "Linux"}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, found := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !found || strings.HasPrefix(key, "#") {
			continue
		}
		value = unquote(value)
		switch key {
		case "ID":
			os.ID = value
		case "ID_LIKE":
			os.IDLike = strings.Fields(value)
		case "VERSION_ID":
			os.VersionID = value
		case "VERSION_CODENAME":
			os.VersionCodename = value
		case "VARIANT_ID":
			os.VariantID = value
		case "PRETTY_NAME":
			os.PrettyName = value
		}
	}
	if err := lines.Err(); err != nil {
		return HostOS{}, fmt.Errorf("os-release: %w", err)
	}
	return os, nil
}

// unquote undoes shell quoting of one word: '…' is literal, a backslash
// elsewhere makes the next character literal.
func unquote(s string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
