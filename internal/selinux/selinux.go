// Package selinux asks the kernel's SELinux, if there is one, through its files:
// selinuxfs and /proc/PID/attr. It changes no policy.
package selinux

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// fs is where selinuxfs is mounted, if SELinux is on.
const fs = "/sys/fs/selinux"

// Enforcing reports whether SELinux is on and enforces its policy.
func Enforcing() bool {
	b, err := os.ReadFile(fs + "/enforce")
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// Label returns the label of a process (user:role:type:level), or "" where SELinux
// is off or the process is gone.
func Label(pid int) string {
	if _, err := os.Stat(fs + "/enforce"); err != nil {
		return "" // the file may be another security module's
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/attr/current")
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00\n")
}

// Type returns the type in a label, which rules refer to.
func Type(label string) string {
	if f := strings.SplitN(label, ":", 4); len(f) >= 3 {
		return f[2]
	}
	return label
}

// Allows reports whether the policy allows a process with the label subject one
// permission of a class, such as write of fifo_file, on something with the label object.
func Allows(subject, object, class, permission string) (bool, error) {
	number := func(elem ...string) (uint64, error) {
		b, err := os.ReadFile(filepath.Join(append([]string{fs, "class", class}, elem...)...))
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	}
	index, err := number("index")
	if err != nil {
		return false, err
	}
	bit, err := number("perms", permission)
	if err != nil {
		return false, err
	}
	f, err := os.OpenFile(fs+"/access", os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %s %d", subject, object, index); err != nil {
		return false, err
	}
	answer := make([]byte, 256)
	n, err := f.Read(answer) // allowed, and four more words
	if err != nil {
		return false, err
	}
	word, _, _ := strings.Cut(string(answer[:n]), " ")
	allowed, err := strconv.ParseUint(word, 16, 32)
	return err == nil && allowed&(1<<(bit-1)) != 0, err
}

// MakeSockets calls f; the sockets that f makes get the label. With "", or if the kernel
// refuses, they get the process's own, and an error says why.
func MakeSockets(label string, f func()) error {
	if label == "" {
		f()
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const attr = "/proc/thread-self/attr/sockcreate"
	err := os.WriteFile(attr, []byte(label), 0)
	f()
	if err == nil {
		err = os.WriteFile(attr, []byte{0}, 0) // an empty write would not reach the kernel
	}
	return err
}
