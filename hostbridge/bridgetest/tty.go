package bridgetest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/ptytest"
)

// terminal is the outer end of the terminal that a client has.
type terminal struct{ *os.File }

// isRaw looks at the settings of a terminal by its master.
func isRaw(tty *terminal) bool {
	raw, err := tty.SyscallConn()
	if err != nil {
		return false
	}
	var tio *unix.Termios
	raw.Control(func(fd uintptr) { tio, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	return err == nil && tio.Lflag&(unix.ICANON|unix.ISIG|unix.ECHO) == 0
}

func setSize(t testing.TB, tty *terminal, rows, cols int) {
	t.Helper()
	if err := ptytest.Resize(tty.File, uint16(rows), uint16(cols)); err != nil {
		t.Fatal(err)
	}
}
