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
	return version, putBox(h, file, version)
}

// restoreBox brings the program back with which a toolbox was made, command
// inside, if somebody cleared it away. This version in that one's place will do:
// a toolbox's first process is all that it is for.
func restoreBox(h *Host, file, command string) error {
	return putBox(h, file, filepath.Base(filepath.Dir(command)))
}

func putBox(h *Host, file, version string) error {
	target := filepath.Join(boxDir(h), version, "tbx-box")
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(target), 0o755)
	}
	if err == nil {
		err = atomicfile.Write(target, data, 0o755)
	}
	if err != nil {
		return fail.Wrap(nil, err, "tbx-box cannot be installed for your toolboxes").
			Hint("make %s writable, or set XDG_DATA_HOME", h.Dirs.Data)
	}
	return nil
}

// removeFile removes a file that may be missing and is not worth an error.
func removeFile(path string) { _ = os.Remove(path) }
