package boxinit

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pause is the first process of a toolbox. It only waits, ends at once on SIGTERM, and on
// SIGHUP begins to keep StateDir/hosts up to date, if the initialiser found that
// necessary. It runs as the user and never polls. named, of Args, are the required
// mounts: if one is missing, it prints the reason and ends with ExitSwapped, before
// anything can run in the toolbox. After WhileOwned it also ends with the owner of an
// ephemeral toolbox. It returns its exit code.
func Pause(named []string) int {
	owned := len(named) > 0 && named[0] == WhileOwned
	if owned {
		named = named[1:]
	}
	if len(named) > 0 {
		mounts, err := ReadMounts(ownMounts)
		if err == nil {
			err = CheckNamed(named, mounts)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "tbx-box: the toolbox ends at once:", err)
			return ExitSwapped
		}
	}
	if os.Getpid() == 1 { // of a pid namespace of its own: it gets the orphans, and owns the terminals
		go reap()
	} else {
		defer runtime.KeepAlive(reserveTerminals())
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	ownerEnded := make(chan int, 1)
	if owned {
		go endWithOwner(ownerEnded)
	}
	following := false
	for {
		releaseMemory()
		select {
		case code := <-ownerEnded:
			return code
		case sig := <-signals:
			if sig != unix.SIGHUP {
				return 0
			}
		}
		name, err := os.ReadFile(StateDir + "/hosts-name")
		if err == nil && !following {
			following = true
			go followHosts(strings.TrimSpace(string(name)))
		}
	}
}

// reap collects the ended children of a first process, wait(2).
func reap() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	for range children {
		for pid := 1; pid > 0; {
			pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
		}
	}
}

// followHosts rewrites the toolbox's hosts file whenever the host's changes. It watches
// the directory, because a file is usually replaced, not written.
func followHosts(name string) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return // this user has no instance left: the file stays as at the start
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, HostView+"/etc", unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_CREATE); err != nil {
		return
	}
	buf := make([]byte, 4096)
	releaseMemory()
	for {
		n, err := watch.Read(buf)
		if err != nil {
			return
		}
		if !strings.Contains(string(buf[:n]), "hosts\x00") {
			continue
		}
		if host, err := os.ReadFile(HostView + "/etc/hosts"); err == nil {
			// Written in place: the directory is the user's but /etc/hosts is a
			// link to this very file, and readers take it whole or retry.
			os.WriteFile(StateDir+"/hosts", withEntry(host, name), 0o644)
		}
		releaseMemory()
	}
}

// releaseMemory gives the pages of this program's file back to the kernel, which reads
// them again if necessary. So an idle toolbox only costs the Go runtime's few pages.
func releaseMemory() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || !strings.HasSuffix(f[5], "/tbx-box") || f[1][1] == 'w' {
			continue
		}
		lo, hi, _ := strings.Cut(f[0], "-")
		from, err1 := strconv.ParseUint(lo, 16, 64)
		to, err2 := strconv.ParseUint(hi, 16, 64)
		if err1 == nil && err2 == nil {
			syscall.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
