package completion

import (
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/escape"
)

// Stateroots offers the stateroots of the OSTree sysroot in a directory, of which
// each has a directory in ostree/deploy.
func Stateroots(sysroot string) []Item {
	if sysroot == "" {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(sysroot, "ostree/deploy"))
	if err != nil {
		return nil
	}
	var out []Item
	for _, e := range entries {
		if e.IsDir() && escape.Text(e.Name()) == e.Name() {
			out = append(out, Item{Word: e.Name()})
		}
	}
	return out
}
