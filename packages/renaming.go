package packages

import (
	"regexp"
	"strings"
)

// Renaming is how one release of a distribution is called, and another: by name and number,
// VERSION_CODENAME and VERSION_ID of os-release(5). What a release has not is empty.
type Renaming struct {
	OldName, NewName       string
	OldVersion, NewVersion string
}

// RenamingOf is the one from a system to another.
func RenamingOf(old, now map[string]string) *Renaming {
	r := &Renaming{old["VERSION_CODENAME"], now["VERSION_CODENAME"], old["VERSION_ID"], now["VERSION_ID"]}
	if old["ID"] == "alpine" { // its repositories are of v3.20, of which 3.20.3 is a part
		r.OldVersion, r.NewVersion = short(r.OldVersion), short(r.NewVersion)
	}
	return r
}

func short(version string) string {
	if f := strings.Split(version, "."); len(f) > 2 {
		return f[0] + "." + f[1]
	}
	return version
}

// Names says whether text has the old release's name, or its number in an address.
func (r *Renaming) Names(text string) bool { return r.Text(text) != text }

// Text is text for the new release: in lines that are no comments, its name takes the place of
// the old one's, and in addresses its number.
func (r *Renaming) Text(text string) string {
	out := strings.SplitAfter(text, "\n")
	for i, line := range out {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out[i] = r.line(line)
		}
	}
	return strings.Join(out, "")
}

// address is where a repository is.
var address = regexp.MustCompile(`[a-z+]+://\S+`)

func (r *Renaming) line(line string) string {
	if r.OldName != "" && r.NewName != "" {
		word := regexp.MustCompile(`(^|[^A-Za-z0-9])` + regexp.QuoteMeta(r.OldName) + `($|[^A-Za-z0-9])`)
		for range 2 { // what separates two of them belongs to one
			line = word.ReplaceAllString(line, "${1}"+r.NewName+"${2}")
		}
	}
	if r.OldVersion == "" || r.NewVersion == "" {
		return line
	}
	// 12 of /debian/12/, Debian_12/, /v3.20/, /fc41/ and el9, and not of a port or of 0.12.
	number := regexp.MustCompile(`([/_-](?:[A-Za-z]+)?)` + regexp.QuoteMeta(r.OldVersion) + `($|[/_-])`)
	return address.ReplaceAllStringFunc(line, func(a string) string {
		scheme, rest, _ := strings.Cut(a, "://")
		host, path, ok := strings.Cut(rest, "/")
		if !ok {
			return a
		}
		return scheme + "://" + host + number.ReplaceAllString("/"+path, "${1}"+r.NewVersion+"${2}")
	})
}
