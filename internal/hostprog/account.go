package hostprog

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Account returns the calling user's login name from the user database, or "". The
// variable USER may differ: after setpriv, gosu or sudo -E it names somebody else.
var Account = sync.OnceValue(func() string {
	uid := strconv.Itoa(os.Getuid())
	data, _ := os.ReadFile("/etc/passwd") // not there: others are asked
	if name := nameOf(data, uid); name != "" {
		return name
	}
	path, err := Look("getent")
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, path, "passwd", uid).Output() // nobody: no name
	return nameOf(out, uid)
})

// nameOf finds the first account with that number in lines of passwd(5).
func nameOf(passwd []byte, uid string) string {
	for line := range bytes.Lines(passwd) {
		if f := strings.Split(string(line), ":"); len(f) > 6 && f[2] == uid {
			return f[0]
		}
	}
	return ""
}

// BadTmpdir returns the value of TMPDIR if podman cannot work with it: a relative path,
// or a place where the caller cannot make files.
func BadTmpdir(env []string) string {
	for _, kv := range env {
		dir, ok := strings.CutPrefix(kv, "TMPDIR=")
		if !ok || dir == "" {
			continue
		}
		if fi, err := os.Stat(dir); !strings.HasPrefix(dir, "/") || err != nil || !fi.IsDir() || !mayWrite(dir) {
			return dir
		}
	}
	return ""
}
