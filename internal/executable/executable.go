// Package executable tells programs from other files.
package executable

import (
	"os"

	"golang.org/x/sys/unix"
)

// Is reports whether path leads to a regular file that this process may execute.
func Is(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}
