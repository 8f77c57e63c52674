package boxinit

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminals is how many numbers of terminals a toolbox leaves to the host's: from 0 on,
// as /dev/pts numbers them on either side.
const Terminals = 32

// reserveTerminals opens that many terminals and keeps them, locked, so that nobody
// can open them. Their names are free for the host's terminals of the same number: a
// session from the host's /dev/pts/3 has its terminal mounted there, see
// toolbox/join, NameTerminal. A name in /dev/pts cannot be made in any other way, and
// lasts as long as its terminal. It costs the kernel less than a
// megabyte of memory.
func reserveTerminals() (kept []*os.File) {
	for range Terminals {
		f, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err != nil { // none of its own, or the kernel has no more: names are missing then
			break
		}
		kept = append(kept, f)
	}
	return kept
}
