package boxinit

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminals is how many numbers of terminals a toolbox reserves for the host's: from 0
// on, as /dev/pts counts on both sides.
const Terminals = 32

// reserveTerminals opens that many terminals and keeps them, locked, so that nobody can
// open them. Their names are then free for the host's terminals of the same number: a
// session from the host's /dev/pts/3 has its terminal mounted there, see toolbox/join,
// NameTerminal. Names in /dev/pts cannot be made in any other way, and last as long as
// their terminals. This takes less than a megabyte of the kernel's memory.
func reserveTerminals() (kept []*os.File) {
	for range Terminals {
		f, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err != nil { // it has no devpts of its own, or the kernel has no more: then names are missing
			break
		}
		kept = append(kept, f)
	}
	return kept
}
