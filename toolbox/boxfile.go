package toolbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// boxDir holds every version of tbx-box that a toolbox may have been made with.
// The directory is mounted, not one version, so that an update or the removal
// of tbx never leaves a toolbox without its first process.
func boxDir(h *Host) string { return filepath.Join(h.Dirs.Data, "box") }

// ShimDir is where a toolbox sees the shims, links to tbx-box by the names of
// host commands. HostShimDir is the same on the host. It is no place where the
// host's shell looks for commands, nor a toolbox's but for what tbx says, so no
// shim can be called by a shim.
const ShimDir = boxinit.BoxDir + "/shims"

// HostShimDir is where ShimDir is on the host.
func HostShimDir(h *Host) string { return filepath.Join(boxDir(h), "shims") }

// InstallBox puts this version of tbx-box where toolboxes find it and returns
// its path on the host.
func (m *Manager) InstallBox() (string, error) {
	version, err := installBox(m.Host, m.BoxFile)
	return filepath.Join(boxDir(m.Host), version, "tbx-box"), err
}

// boxVersion names the version of the program: the first 16 hex digits of the
// SHA-256 of its content.
func boxVersion(file string) (string, error) {
	hash := sha256.New()
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		// In pieces: fresh memory for the whole of it costs more than its hash.
		_, err = io.CopyBuffer(hash, struct{ io.Reader }{f}, make([]byte, 64<<10))
	}
	if err != nil {
		return "", fail.Wrap(fail.Unable, err, "tbx-box, which every toolbox runs, is missing").Hint("install it beside tbx, as make install does")
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
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
