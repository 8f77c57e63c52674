// Package inherited knows which signals the caller of this process ignores and blocks,
// and gives that to the program that this process becomes. Go's runtime installs
// handlers for all signals but an ignored SIGHUP and SIGINT, and takes most from the
// mask, before any Go code runs: so it is written down at the program's entry
// (entry_linux_amd64.s), in programs that are linked with the flag -E=tbx_entry.
// In others, as in go test, nothing is known, and Go's ways stand.
package inherited

import (
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Written by tbx_entry; bit n-1 stands for signal n.
var (
	ignored uint64
	blocked uint64
	known   bool
	action  [4]uint64 // struct sigaction of the kernel, for tbx_entry and no one else
)

// tooLittle is written, to standard error, by tbx_entry.
var tooLittle = "tbx: it cannot start: a limit on memory, processes or open files leaves it too little\n" +
	"tbx: hint: look at ulimit -a; -v and -d must be 800000 or more, -n 16, and -u above what you run\n"

// Honor lets this process ignore what the caller ignores, so that signal.Ignored is
// true of it and children inherit it. It leaves alone what Go itself lives by.
func Honor() {
	for sig := syscall.Signal(1); sig <= 31; sig++ {
		if has(ignored, sig) && sig != unix.SIGCHLD && sig != unix.SIGURG {
			signal.Ignore(sig)
		}
	}
}

// Notify is signal.Notify for those of wanted that are not ignored: what the caller
// ignores, as nohup(1) has it, stays ignored. It says whether there is one.
func Notify(c chan<- os.Signal, wanted ...os.Signal) bool {
	wanted = slices.DeleteFunc(slices.Clone(wanted), signal.Ignored)
	if len(wanted) > 0 { // signal.Notify without any would catch all
		signal.Notify(c, wanted...)
	}
	return len(wanted) > 0
}

// Restore gives the calling thread the mask, and the process the ignored signals, that
// the caller gave it. It is for the moment before execve(2), which keeps both; the
// goroutine stays on its thread from then on.
func Restore() {
	if !known {
		return
	}
	runtime.LockOSThread()
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if has(ignored, sig) {
			act := [4]uint64{1} // SIG_IGN; no flags, no mask
			unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&blocked)), 0, 8, 0, 0)
}

// Become is execve(2) with what the caller gave this process. On success it does not
// return.
func Become(path string, args, env []string) error {
	Restore()
	return os.NewSyscallError("execve", syscall.Exec(path, args, env))
}

func has(set uint64, sig syscall.Signal) bool { return set&(1<<(sig-1)) != 0 }
