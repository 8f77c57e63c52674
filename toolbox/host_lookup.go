package toolbox

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tbx-project/tbx/internal/hostprog"
)

// getent asks the host's name service, which may ask a server.
func getent(table, key string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	path, err := hostprog.Look("getent")
	if err != nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, path, table, key).Output()
	if err != nil {
		return nil
	}
	return findEntry(bytes.NewReader(out), 2, key)
}

// cdiKind matches the kind of the devices in a CDI specification, YAML or JSON, on a line
// of its own or not.
var cdiKind = regexp.MustCompile(`(?m)(?:^|[{,])\s*"?kind"?\s*:\s*"?([a-z0-9.-]+/[A-Za-z0-9_-]+)`)

// cdiKinds returns the kinds of devices that the specifications in dirs describe, see the
// Container Device Interface.
func cdiKinds(dirs ...string) []string {
	var out []string
	for _, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			switch filepath.Ext(f) {
			case ".yaml", ".yml", ".json":
			default:
				continue
			}
			if data, err := os.ReadFile(f); err == nil {
				if m := cdiKind.FindSubmatch(data); m != nil {
					out = append(out, string(m[1]))
				}
			}
		}
	}
	return out
}
