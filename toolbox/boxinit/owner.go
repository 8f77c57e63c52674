package boxinit

import (
	"io/fs"
	"os"
	"syscall"
)

// sameOwner gives path the owner of old, if that is allowed.
func sameOwner(path string, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}
