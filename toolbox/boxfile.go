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

// boxPath is a version's file in such a directory.
func boxPath(dir, version string) string { return filepath.Join(dir, version, "tbx-box") }

// boxDir is the directory of the versions that the toolbox has mounted: that of when
// it was made, wherever XDG_DATA_HOME is now.
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

// maxBox is more than any version of tbx-box has, in bytes. What is planted in the
// place of one may be of any size.
const maxBox = 64 << 20

// boxVersion names the version of the program: the first 16 hex digits of the
// SHA-256 of its content.
func boxVersion(file string) (string, error) {
	hash := sha256.New()
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		// In pieces: fresh memory for the whole of it costs more than its hash.
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

// installBox puts the program into the directory of versions and returns its own.
func installBox(dir, file string) (string, error) {
	version, err := boxVersion(file)
	if err != nil {
		return "", err
	}
	return version, putBox(dir, file, version, version)
}

// restoreBox brings the program back with which a toolbox was made, command
// inside, if somebody cleared it away or changed it. This version in that one's
// place will do: a toolbox's first process is all that it is for.
func restoreBox(dir, file string, command []string) error {
	installed, err := boxVersion(file)
	if err != nil {
		return err
	}
	return putBox(dir, file, installed, boxOf(command))
}

// boxOf is the version of the program that a toolbox has as its first process.
func boxOf(command []string) string { return filepath.Base(filepath.Dir(command[0])) }

// putBox sees to it that a version's file is that version, or the one installed now,
// by its content: every toolbox runs it, as its root too.
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

// executable refuses a directory on a file system whose programs may not be run, as
// homes are mounted in some places: the kernel would refuse the first process with
// words that name neither.
func executable(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Flags&unix.ST_NOEXEC == 0 {
		return nil // one that cannot be looked at is another matter
	}
	return fail.New(fail.Unable, "every toolbox runs a program that is in %s, on a file system whose programs may not be run "+
		"(mount option noexec)", dir).
		Hint("set XDG_DATA_HOME to a directory where they may, for good, and make your toolboxes then")
}

// sound says whether a file is a regular one, no link, that may be run and is one of
// these versions.
func sound(target string, versions ...string) bool {
	fi, err := os.Lstat(target)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0 {
		return false
	}
	version, err := boxVersion(target)
	return err == nil && slices.Contains(versions, version)
}

// removeFile removes a file that may be missing and is not worth an error.
func removeFile(path string) { _ = os.Remove(path) }
