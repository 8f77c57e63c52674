package carry

import (
	"bytes"
	"strings"
)

// mostRead is how much of a file is looked at for what nobody else should have, in bytes.
const mostRead = 256 << 10

// secretIn says what of a text nobody else should have: a private key, RFC 7468, or a
// password in an address, RFC 3986.
func secretIn(text []byte) string {
	for _, line := range bytes.Split(text, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("-----BEGIN ")) && bytes.Contains(line, []byte("PRIVATE KEY")) {
			return "there is a private key in it"
		}
		if bytes.Contains(line, []byte("_authToken=")) { // npmrc(5)
			return "there is a token in it"
		}
		if passwordIn(string(line)) {
			return "there is a password in it, in an address"
		}
	}
	return ""
}

// passwordIn says whether a line has SCHEME://USER:PASSWORD@HOST.
func passwordIn(line string) bool {
	for {
		_, rest, ok := strings.Cut(line, "://")
		if !ok {
			return false
		}
		authority, _, _ := strings.Cut(rest, "/")
		if end := strings.IndexAny(authority, " \t\"'<>$#?,;"); end >= 0 {
			authority = authority[:end]
		}
		user, _, at := strings.Cut(authority, "@")
		if name, password, ok := strings.Cut(user, ":"); at && ok && name != "" && password != "" {
			return true
		}
		line = rest
	}
}
