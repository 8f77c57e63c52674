package carry

import (
	"bytes"
	"slices"
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
		if namedPassword(string(line)) {
			return "there is a password in it"
		}
		if passwordIn(string(line)) {
			return "there is a password in it, in an address"
		}
	}
	return ""
}

// namedPassword says whether a line gives a password: as netrc(5) and apt_auth.conf(5) do, or
// as a key with a value, such as dnf.conf(5) and zypper's credentials.
func namedPassword(line string) bool {
	f := strings.Fields(line)
	if len(f) == 2 && f[0] == "password" || slices.Contains(f, "login") && slices.Contains(f, "password") {
		return true
	}
	key, value, ok := strings.Cut(line, "=")
	return ok && strings.HasSuffix(strings.ToLower(strings.TrimSpace(key)), "password") && strings.TrimSpace(value) != ""
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
