package main

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// scan looks for a secret of the host in what was read.
func scan(way string, data []byte) bool {
	if i := bytes.Index(data, []byte(secret)); i >= 0 {
		report(pack.Found, "a secret of the host: "+way, string(data[i:min(len(data), i+80)]))
		return true
	}
	return false
}

const maxScan = 64 << 10 // bytes of a file

// scanFile reads the beginning of a file without waiting for a FIFO.
func scanFile(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Mode().Type()&^fs.ModeSymlink != 0 {
		return false
	}
	data, _ := io.ReadAll(io.LimitReader(f, maxScan))
	return scan(path, data)
}

// probe looks everywhere where an ordinary toolbox finds something, and changes nothing.
func probe() {
	for _, path := range config.Secrets {
		scanFile(path)
	}
	keys()
	processes()
	listeners()
	for _, family := range []int{unix.AF_VSOCK} {
		if fd, err := unix.Socket(family, unix.SOCK_STREAM, 0); err == nil {
			unix.Close(fd) // it is never connected
			report(pack.Found, "socket of a family that none needs", "vsock")
		}
	}
	mounts(rand.New(rand.NewPCG(1, 1)))
}

// walk reads what there is, from a place on.
func walk(r *rand.Rand) {
	from := pick(r, append(append([]string{"/", config.Home, "/run", "/tmp", "/var", "/dev/shm", "/etc", "/sys/fs"}, config.Shares...), config.ReadOnly...))
	left := 5000
	filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if left--; left < 0 {
			return fs.SkipAll
		}
		if err != nil {
			return nil
		}
		if d.IsDir() && (path == "/proc" || path == "/sys/kernel" || path == "/sys/devices") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			scanFile(path)
		}
		return nil
	})
	for _, path := range config.Secrets {
		scanFile(path)
		scanFile("/proc/1/root" + path)
	}
}

// lookAtShares looks what the shares are now, and where.
func lookAtShares() {
	for _, dir := range append(append([]string{}, config.Shares...), config.ReadOnly...) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			scanFile(filepath.Join(dir, e.Name()))
		}
		for _, path := range config.Secrets { // of a share that became the home
			if rel, err := filepath.Rel(config.Home, path); err == nil {
				scanFile(filepath.Join(dir, rel))
			}
		}
	}
	data, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[4], "/") {
			continue
		}
		for _, share := range append(append([]string{}, config.Shares...), config.ReadOnly...) {
			at := strings.TrimPrefix(share, config.Home) // the root may be that of a file system below which the home is
			// Below the home it is where it was, of another name: a directory above a mount can be renamed.
			if strings.HasSuffix(f[3], at) && f[4] != share && !strings.HasPrefix(f[4], config.Home) {
				report(pack.Found, "a share is mounted elsewhere", share+" at "+f[4]+"; "+where())
			}
		}
	}
}

// processes looks at all that is in /proc.
func processes() {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		for _, name := range []string{"environ", "cmdline"} {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil && bytes.Contains(data, []byte(secret)) {
				scan("/proc/PID/"+name, data)
			}
		}
		for _, path := range config.Secrets[:1] {
			scanFile(dir + "/root" + path)
			scanFile(dir + "/cwd/" + filepath.Base(path))
		}
		fds, _ := filepath.Glob(dir + "/fd/*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && strings.Contains(to, ".ssh") {
				scanFile(fd)
			}
		}
	}
}

// devices looks for nodes beyond those of every container, and makes some.
func devices(*rand.Rand) {
	usual := map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true, "console": true, "ptmx": true}
	entries, _ := os.ReadDir("/dev")
	for _, e := range entries {
		if e.Type()&fs.ModeDevice != 0 && !usual[e.Name()] {
			report(pack.Found, "device node "+e.Name(), where())
		}
	}
	for name, number := range map[string]uint64{"kmsg": unix.Mkdev(1, 11), "mem": unix.Mkdev(1, 1), "vda": unix.Mkdev(254, 0), "fuse": unix.Mkdev(10, 229)} {
		path := filepath.Join("/tmp", config.Evil+name)
		if unix.Mknod(path, unix.S_IFCHR|0o666, int(number)) == nil {
			if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
				unix.Close(fd)
				report(pack.Found, "device node of its own making: "+name, where())
			}
			os.Remove(path)
		}
	}
}
