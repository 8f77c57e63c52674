package join

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Shared returns the place inside of a path of the host, which must be clean, if a mount
// shows it.
func (r *Record) Shared(path string) (string, bool) { return r.shared(path) }

// Exists reports whether anything is at an absolute path inside.
func (t *Target) Exists(path string) bool {
	_, err := t.mode(path)
	return err == nil
}

// Runs returns the program that an absolute path leads to inside. ok: it is executable,
// and the kernel finds its loader, such as ld.so(8) or a script's interpreter. For a
// program of another libc the kernel reports "not found".
func (t *Target) Runs(path string) (real string, ok bool) {
	real, mode, err := t.stat(path)
	if err != nil || mode&unix.S_IFMT != unix.S_IFREG || mode&0o111 == 0 {
		return "", false
	}
	fd, err := t.open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		return real, true // it may be executable but not readable for the user
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	with := interpreter(f)
	return real, with == "" || t.Exists(with)
}

// interpreter returns the program with which the kernel starts a program, elf(5)
// PT_INTERP and execve(2) "Interpreter scripts", or "".
func interpreter(f io.ReaderAt) string {
	head := make([]byte, 256)
	n, _ := f.ReadAt(head, 0)
	head = head[:n]
	if line, ok := bytes.CutPrefix(head, []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		if words := strings.Fields(string(line)); len(words) > 0 {
			return words[0]
		}
		return ""
	}
	if len(head) < 64 || string(head[:6]) != "\x7fELF\x02\x01" {
		return ""
	}
	const ptInterp = 3
	order := binary.LittleEndian
	at, size, count := order.Uint64(head[32:]), order.Uint16(head[54:]), order.Uint16(head[56:])
	for i := range min(count, 64) {
		entry := make([]byte, 56)
		if _, err := f.ReadAt(entry, int64(at)+int64(i)*int64(size)); err != nil {
			return ""
		}
		if order.Uint32(entry) != ptInterp {
			continue
		}
		name := make([]byte, min(order.Uint64(entry[32:]), 256))
		if _, err := f.ReadAt(name, int64(order.Uint64(entry[8:]))); err != nil {
			return ""
		}
		return string(bytes.TrimRight(name, "\x00"))
	}
	return ""
}
