package toolbox

import (
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Name is a toolbox's name, valid by construction: see ParseName.
type Name string

// maxName is less than podman would take: the name becomes a file name with an
// ending, and part of a host name.
const maxName = 128

// ParseName checks a name from outside. podman's own rule is
// [a-zA-Z0-9][a-zA-Z0-9_.-]*, and so is Toolbx's.
func ParseName(s string) (Name, error) {
	bad := func(why string) (Name, error) {
		shown := s
		if len(shown) > 60 {
			shown = strings.ToValidUTF8(shown[:60], "") + "…"
		}
		return "", fail.New(fail.Usage, "the name %s cannot be a toolbox's: %s", escape.Quote(shown), why).
			Hint("use letters, digits, '_', '.' and '-', and begin with a letter or a digit")
	}
	switch {
	case s == "":
		return bad("it is empty")
	case len(s) > maxName:
		return bad("it is longer than 128 characters")
	case apartName.MatchString(s):
		return bad("tbx gives such names to containers that it is working on")
	}
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case i > 0 && (r == '_' || r == '.' || r == '-'):
		case i == 0 && (r == '_' || r == '.' || r == '-'):
			return bad("it begins with '" + string(r) + "'")
		default:
			return bad("it has the character " + escape.Quote(string(r)))
		}
	}
	return Name(s), nil
}
