package toolbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
)

// boxDir holds every version of tbx-box that a toolbox may have been made with.
// The directory is mounted, not one version, so that an update or the removal
// of tbx never leaves a toolbox without its first process.
func boxDir(h *Host) string { return filepath.Join(h.Dirs.Data, "box") }

// boxVersion names the version of the program: the first 16 hex digits of the
// SHA-256 of its content.
func boxVersion(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fail.Wrap(fail.Unable, err, "tbx-box, which every toolbox runs, is missing").Hint("install it beside tbx, as make install does")
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// installBox puts the program where toolboxes find it and returns its version.
func installBox(h *Host, file string) (string, error) {
	version, err := boxVersion(file)
	if err != nil {
		return "", err
	}
	target := filepath.Join(boxDir(h), version, "tbx-box")
	if _, err := os.Stat(target); err == nil {
		return version, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(target), 0o755)
	}
	if err == nil {
		err = atomicfile.Write(target, data, 0o755)
	}
	if err != nil {
		return "", fail.Wrap(nil, err, "tbx-box cannot be installed for your toolboxes").
			Hint("make %s writable, or set XDG_DATA_HOME", h.Dirs.Data)
	}
	return version, nil
}

// removeFile removes a file that may be missing and is not worth an error.
func removeFile(path string) { _ = os.Remove(path) }
