package toolbox

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tbx-project/tbx/internal/pty"
)

// BehindPTY runs a session on a terminal of the toolbox's own devpts and relays it to the
// caller's. Programs that need their terminal's name (tty, GNU screen, mesg) need this,
// because the caller's terminal has no name inside. cmd is the call of tbx that becomes
// the session.
func (p *Session) BehindPTY(cmd *exec.Cmd) error {
	// Not blocking, or closing the master would wait for its readers.
	fd, peer, err := pty.Open(fmt.Sprintf("/proc/%d/root/dev/pts/ptmx", p.Record.PID), unix.O_NONBLOCK)
	if err != nil {
		return fmt.Errorf("toolbox %s cannot give a terminal: %w", p.Record.Name, err)
	}
	master, slave := os.NewFile(uintptr(fd), "ptmx"), os.NewFile(uintptr(peer), "pty")
	defer master.Close()
	resize := func() { pty.CopySize(int(master.Fd()), int(os.Stdin.Fd())) }
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
