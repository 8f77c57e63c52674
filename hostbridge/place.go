package hostbridge

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// place is a file or a directory of the host that a request names. The owner is asked
// about its name without links, which is also in the log; the runner checks that the name
// still leads to this file.
type place struct {
	path string
	fd   int // O_PATH, which neither reads nor waits for a file system when it is closed
	mode uint16
}

// openPlace opens a path as the host sees it. It does not follow links that stand for a
// process's own files (proc(5)): they would be the agent's.
func openPlace(path string, flags int) (*place, error) { return placeAt(unix.AT_FDCWD, path, flags, 0) }

// openShared opens an isolated toolbox's path. Links are followed within the share only,
// so that the toolbox cannot reach or learn about other files of the host.
func openShared(box Box, path string) (*place, error) {
	for _, s := range box.Shares {
		rest, ok := below(filepath.Clean(path), s.Box)
		if !ok {
			continue
		}
		// Its path had no links when it was mounted: with one it leads to something that
		// the toolbox does not have.
		root, err := placeAt(unix.AT_FDCWD, s.Host, 0, unix.RESOLVE_NO_SYMLINKS)
		if err != nil {
			return nil, err
		}
		defer root.close()
		if rest == "" {
			rest = "."
		}
		return placeAt(root.fd, rest, 0, unix.RESOLVE_BENEATH)
	}
	return nil, unix.ENOENT
}

func placeAt(at int, path string, flags int, resolve uint64) (*place, error) {
	how := &unix.OpenHow{Flags: uint64(unix.O_PATH | unix.O_CLOEXEC | flags), Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := -1, error(unix.EAGAIN)
	// EAGAIN: something was renamed meanwhile, openat2(2).
	for try := 0; (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) && try < 1000; try++ {
		fd, err = unix.Openat2(at, path, how)
	}
	if err != nil {
		return nil, err
	}
	p := &place{fd: fd}
	var st unix.Statx_t
	if err = eintr.Do(func() error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE|unix.STATX_MODE, &st)
	}); err == nil {
		p.mode = st.Mode
		p.path, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	}
	if err == nil && !filepath.IsAbs(p.path) {
		err = errors.New("the host has no name for it")
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() {
	if p != nil && p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// runnable lists endings of file names whose opening runs or installs something.
var runnable = []string{
	".desktop", ".kdelnk", ".directory", ".service", ".appimage", ".run", ".bin", ".out",
	".jar", ".jnlp", ".exe", ".com", ".bat", ".cmd", ".msi", ".scr", ".lnk", ".url", ".ps1", ".vbs",
	".flatpakref", ".flatpakrepo", ".flatpak", ".snap", ".rpm", ".deb", ".apk", ".appinstaller", ".xdgapp",
	".sh", ".bash", ".zsh", ".csh", ".fish", ".command", ".py", ".pyw", ".pl", ".rb", ".tcl", ".lua",
	".xpi", ".crx", ".gadget", ".workflow", ".mobileconfig", ".plasmoid", ".skz",
}

// mayOpen refuses anything but documents: opening it would run something, or wait.
func (p *place) mayOpen() error {
	shown := escape.Quote(p.path)
	switch kind := p.mode & unix.S_IFMT; {
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return fail.New(nil, "%s: it is neither a file nor a directory", shown)
	case kind == unix.S_IFDIR:
		return nil
	case slices.Contains(runnable, strings.ToLower(filepath.Ext(strings.TrimRight(p.path, " .")))):
		return fail.New(fail.Unable, "%s: to open such a file is to run it", shown).Hint("open it on the host, if you know what it does")
	case p.mode&0o111 != 0:
		return fail.New(fail.Unable, "%s: it is an executable file, and to open it may be to run it", shown).
			Hint("if it is a document: chmod a-x FILE")
	}
	return nil
}
