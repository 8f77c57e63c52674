// Package inherited knows the signals that the caller of this process ignores and blocks,
// and passes them to the program that this process becomes. Before any Go code runs, Go's
// runtime installs handlers for all signals but an ignored SIGHUP and SIGINT, and changes
// the mask. So the program's entry (entry_linux_amd64.s) records them, in programs that
// are linked with the flag -E=tbx_entry. In others, as in go test, nothing is recorded,
// and Go's behaviour stays.
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

// Honor makes this process ignore the signals that the caller ignores, so that
// signal.Ignored is true for them and children inherit that. It leaves alone the signals
// that Go's runtime needs.
func Honor() {
	for sig := syscall.Signal(1); sig <= 31; sig++ {
		if has(ignored, sig) && sig != unix.SIGCHLD && sig != unix.SIGURG {
			signal.Ignore(sig)
		}
	}
}

// Notify is signal.Notify for those of wanted that the caller does not ignore: ignored
// signals, as by nohup(1), stay ignored. It reports whether any is left.
func Notify(c chan<- os.Signal, wanted ...os.Signal) bool {
	wanted = slices.DeleteFunc(slices.Clone(wanted), signal.Ignored)
	if len(wanted) > 0 { // signal.Notify without any would catch all
		signal.Notify(c, wanted...)
	}
	return len(wanted) > 0
}

// Restore sets the caller's mask for the calling thread, and the caller's ignored signals
// for the process. It is for the moment before execve(2), which keeps both; the goroutine
// stays on its thread from then on.
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

// Become is execve(2) with the caller's signals restored. On success it does not return.
func Become(path string, args, env []string) error {
	Restore()
	return os.NewSyscallError("execve", syscall.Exec(path, args, env))
}

func has(set uint64, sig syscall.Signal) bool { return set&(1<<(sig-1)) != 0 }
