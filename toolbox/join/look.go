package join

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Shared returns where a path of the host, which must be clean, is inside, if a mount
// shows it there.
func (r *Record) Shared(path string) (string, bool) { return r.shared(path) }

// Exists says whether anything is at an absolute path inside.
func (t *Target) Exists(path string) bool {
	_, err := t.mode(path)
	return err == nil
}

// Runs returns what program an absolute path leads to inside. ok says that it may be
// run and that what the kernel starts it with, such as ld.so(8) or the interpreter of a
// script, is there too: a program for another libc is not found, says the kernel.
func (t *Target) Runs(path string) (real string, ok bool) {
	real, mode, err := t.stat(path)
	if err != nil || mode&unix.S_IFMT != unix.S_IFREG || mode&0o111 == 0 {
		return "", false
	}
	fd, err := t.open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		return real, true // it may be run but not read, as the user
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	with := interpreter(f)
	return real, with == "" || t.Exists(with)
}

// interpreter returns what the kernel starts a program with, elf(5) PT_INTERP and
// execve(2) "Interpreter scripts", or "".
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
