package toolbox

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"unsafe"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// BehindPTY runs a session on a terminal of the toolbox's own devpts and relays
// it to the caller's. Programs that ask for their terminal's name (tty, GNU
// screen, mesg) need it: the caller's terminal has no name inside. cmd is the
// call of tbx that becomes the session.
func (p *Prepared) BehindPTY(cmd *exec.Cmd) error {
	master, slave, err := openPTY(fmt.Sprintf("/proc/%d/root/dev/pts/ptmx", p.Record.PID))
	if err != nil {
		return fmt.Errorf("toolbox %s cannot give a terminal: %w", p.Record.Name, err)
	}
	defer master.Close()
	resize := func() { pty.InheritSize(os.Stdin, master) }
	resize()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	signals := catch(unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	defer signal.Stop(signals)
	terminal := catch(unix.SIGWINCH, unix.SIGHUP)
	defer signal.Stop(terminal)
	if err := cmd.Start(); err != nil {
		slave.Close()
		return err
	}
	go passOn(signals, cmd.Process.Pid)
	slave.Close()
	old, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err == nil {
		defer term.Restore(int(os.Stdin.Fd()), old)
	}
	go func() {
		for s := range terminal {
			if s == unix.SIGWINCH {
				resize()
			} else {
				master.Close() // the kernel hangs the session up
			}
		}
	}()
	go io.Copy(master, os.Stdin)
	io.Copy(os.Stdout, master) // ends with EIO when the last process has let go of the terminal
	return ended(cmd.Wait())
}

// openPTY opens a pair by the multiplexer of a devpts that is mounted elsewhere,
// ioctl_tty(2) TIOCGPTPEER: the path of the other side would name another
// terminal here.
func openPTY(ptmx string) (master, slave *os.File, err error) {
	// Not blocking, or closing it would wait for what reads from it.
	master, err = os.OpenFile(ptmx, os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	zero := 0
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&zero))); errno != 0 {
		master.Close()
		return nil, nil, errno
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		master.Close()
		return nil, nil, errno
	}
	return master, os.NewFile(fd, "pty"), nil
}
