package toolbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// boxDir holds every version of tbx-box that a toolbox may have been made with. The whole
// directory is mounted, so that an update or the removal of tbx never leaves a toolbox
// without its first process.
func boxDir(h *Host) string { return filepath.Join(h.Dirs.Data, "box") }

// ShimDir is where a toolbox sees the shims, links to tbx-box with the names of host
// commands. HostShimDir is the same directory on the host. No shell on the host looks for
// commands there, and inside only tbx adds it to PATH, so no shim can call a shim.
const ShimDir = boxinit.BoxDir + "/shims"

// HostShimDir is ShimDir on the host.
func HostShimDir(h *Host) string { return filepath.Join(boxDir(h), "shims") }

// boxPath returns a version's file in such a directory.
func boxPath(dir, version string) string { return filepath.Join(dir, version, "tbx-box") }

// boxDir returns the directory of versions that the toolbox mounts: the one from when it
// was made, even if XDG_DATA_HOME has changed.
func (b *Box) boxDir(h *Host) string {
	for _, mt := range b.Mounts {
		if mt.Target == boxinit.BoxDir {
			return mt.Source
		}
	}
	return boxDir(h)
}

// InstallBox puts this version of tbx-box where toolboxes find it and returns
// its path on the host.
func (m *Manager) InstallBox() (string, error) {
	version, err := installBox(boxDir(m.Host), m.BoxFile)
	return boxPath(boxDir(m.Host), version), err
}

// maxBox is larger than any version of tbx-box, in bytes. A planted file may have any
// size.
const maxBox = 64 << 20

// boxVersion names the version of the program: the first 16 hex digits of the
// SHA-256 of its content.
func boxVersion(file string) (string, error) {
	hash := sha256.New()
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		// In pieces: memory for the whole file costs more than its hash.
		var n int64
		n, err = io.CopyBuffer(hash, io.LimitReader(f, maxBox+1), make([]byte, 64<<10))
		if err == nil && n > maxBox {
			err = fmt.Errorf("%s is larger than any tbx-box", file)
		}
	}
	if err != nil {
		return "", fail.Wrap(fail.Unable, err, "tbx-box, which every toolbox runs, is missing").
			Hint("install it beside tbx, as make install does")
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// installBox puts the program into the directory of versions and returns its version.
func installBox(dir, file string) (string, error) {
	version, err := boxVersion(file)
	if err != nil {
		return "", err
	}
	return version, putBox(dir, file, version, version)
}

// restoreBox restores a toolbox's tbx-box, command inside, if somebody removed or changed
// it. The present version may take its place, because it only has to be the first
// process.
func restoreBox(dir, file string, command []string) error {
	installed, err := boxVersion(file)
	if err != nil {
		return err
	}
	return putBox(dir, file, installed, boxOf(command))
}

// boxOf returns the version of tbx-box that is a toolbox's first process.
func boxOf(command []string) string { return filepath.Base(filepath.Dir(command[0])) }

// putBox makes sure that a version's file has the content of that version, or of the one
// installed now: every toolbox runs it, also as root.
func putBox(dir, file, installed, version string) error {
	target := boxPath(dir, version)
	if sound(target, installed, version) {
		return executable(dir)
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
			Hint("make %s writable, or set XDG_DATA_HOME", filepath.Dir(dir))
	}
	return executable(dir)
}

// executable refuses a directory on a file system mounted noexec, as some homes are: the
// kernel's error for the first process would not name the cause.
func executable(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Flags&unix.ST_NOEXEC == 0 {
		return nil // a directory that cannot be checked is another matter
	}
	return fail.New(fail.Unable, "every toolbox runs a program in %s, but no program may be run from that file system "+
		"(mount option noexec)", dir).
		Hint("set XDG_DATA_HOME permanently to a directory where programs may be run, and make your toolboxes then")
}

// sound reports whether a file is regular, not a link, executable, and one of these
// versions.
func sound(target string, versions ...string) bool {
	fi, err := os.Lstat(target)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0 {
		return false
	}
	version, err := boxVersion(target)
	return err == nil && slices.Contains(versions, version)
}

// removeFile removes a file that may be missing. A failure does not matter.
func removeFile(path string) { _ = os.Remove(path) }
