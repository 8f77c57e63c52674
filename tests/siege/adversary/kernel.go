package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// can reports what worked and must not.
func can(what string, err error) bool {
	if err == nil {
		report(pack.Found, what, where())
	}
	return err == nil
}

// places are the mount points of this toolbox.
func places() []string {
	var out []string
	data, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 5 {
			out = append(out, strings.ReplaceAll(f[4], `\040`, " "))
		}
	}
	return out
}

func mounts(r *rand.Rand) {
	runtime.LockOSThread()
	at := pick(r, append(places(), "/mnt", "/tmp", "/run/tbx", config.Home))
	can("mount of a tmpfs", unix.Mount("siege", at, "tmpfs", 0, ""))
	can("mount of proc", unix.Mount("proc", "/mnt", "proc", 0, ""))
	can("mount of a directory", unix.Mount("/", at, "", unix.MS_BIND|unix.MS_REC, ""))
	can("move of a mount", unix.Mount(at, "/mnt", "", unix.MS_MOVE, ""))
	can("umount", unix.Unmount(at, unix.MNT_DETACH))
	fd, err := unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE)
	if can("open_tree", err) {
		can("move_mount", unix.MoveMount(fd, "", unix.AT_FDCWD, "/mnt", unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
	_, err = unix.Fsopen("tmpfs", 0)
	can("fsopen", err)
	can("pivot_root", unix.PivotRoot("/mnt", "/mnt"))
}

func remounts(r *rand.Rand) {
	for range 5 {
		at := pick(r, places())
		can("remount "+at, unix.Mount("none", at, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
		can("mount_setattr "+at, unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
	}
	// What is shared to read, wherever it is mounted: at its own path there may be a link, which leads to what is this toolbox's own.
	data, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) < 6 || !slices.ContainsFunc(append([]string{config.Home + "/.local/share/tbx/box"}, config.ReadOnly...), func(dir string) bool {
			return strings.HasSuffix(f[3], strings.TrimPrefix(dir, config.Home))
		}) && !strings.Contains(f[3], "/tbx/bridge-") {
			continue
		}
		name := filepath.Join(f[4], config.Evil)
		if err := os.WriteFile(name, []byte(config.Evil), 0o666); can("write to "+f[3], err) {
			os.Remove(name)
		}
	}
}

func namespaces(r *rand.Rand) {
	runtime.LockOSThread()
	for _, flag := range []int{unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWNET, unix.CLONE_NEWPID, unix.CLONE_NEWUSER | unix.CLONE_NEWNS} {
		can("unshare "+strconv.FormatInt(int64(flag), 16), unix.Unshare(flag))
	}
	for _, kind := range []string{"mnt", "user", "net", "pid"} {
		pid := pick(r, []string{"1", "self", strconv.Itoa(os.Getppid())})
		if fd, err := unix.Open("/proc/"+pid+"/ns/"+kind, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			can("setns "+kind, unix.Setns(fd, 0))
			unix.Close(fd)
		}
	}
	pid, _, err := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if err == 0 && pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	if err == 0 {
		report(pack.Found, "clone with a user namespace", where())
	}
}

// calls makes system calls that the filter has. Arguments are such that a kernel which takes the call says EFAULT,
// EINVAL or EBADF: anything but EPERM and ENOSYS came through.
func calls(r *rand.Rand) {
	type call struct {
		name string
		nr   uintptr
		args [3]uintptr
	}
	bad := ^uintptr(0)
	all := []call{
		{"bpf", unix.SYS_BPF, [3]uintptr{bad, 0, 0}}, {"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [3]uintptr{0, 0, bad}},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, [3]uintptr{0, 0, 0}}, {"userfaultfd", unix.SYS_USERFAULTFD, [3]uintptr{bad, 0, 0}},
		{"keyctl", unix.SYS_KEYCTL, [3]uintptr{0, ^uintptr(2), 0}}, {"add_key", unix.SYS_ADD_KEY, [3]uintptr{0, 0, 0}},
		{"request_key", unix.SYS_REQUEST_KEY, [3]uintptr{0, 0, 0}}, {"kexec_load", unix.SYS_KEXEC_LOAD, [3]uintptr{0, bad, 0}},
		{"init_module", unix.SYS_INIT_MODULE, [3]uintptr{0, 0, 0}}, {"finit_module", unix.SYS_FINIT_MODULE, [3]uintptr{bad, 0, 0}},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, [3]uintptr{bad, 0, 0}}, {"kcmp", unix.SYS_KCMP, [3]uintptr{0, 0, bad}},
		{"quotactl", unix.SYS_QUOTACTL, [3]uintptr{bad, 0, 0}}, {"acct", unix.SYS_ACCT, [3]uintptr{0, 0, 0}},
		{"swapon", unix.SYS_SWAPON, [3]uintptr{0, 0, 0}}, {"reboot", unix.SYS_REBOOT, [3]uintptr{0, 0, 0}},
		{"syslog", unix.SYS_SYSLOG, [3]uintptr{3, 0, 0}}, {"setns", unix.SYS_SETNS, [3]uintptr{bad, 0, 0}},
	}
	for range 6 {
		c := pick(r, all)
		_, _, e := unix.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], 0, 0, 0)
		if e != unix.EPERM && e != unix.ENOSYS && e != unix.EACCES {
			report(pack.Found, "system call "+c.name, e.Error()+"; "+where())
		}
	}
}

// keys looks for the owner's keys.
func keys() {
	for _, ring := range []int{unix.KEY_SPEC_SESSION_KEYRING, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_USER_SESSION_KEYRING} {
		id, err := unix.KeyctlSearch(ring, "user", "siege", 0)
		if err != nil {
			continue
		}
		buf := make([]byte, 256)
		if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0); err == nil {
			scan("key of the keyring", buf[:min(n, len(buf))])
		}
	}
	for _, path := range []string{"/proc/keys", "/proc/key-users"} {
		scanFile(path)
	}
}

// signals tries to reach processes that are not of this toolbox: there are none in sight.
func signals(r *rand.Rand) {
	for range 50 {
		pid := 2 + r.IntN(4<<10)
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
			continue // one of ours
		}
		if err := unix.Kill(pid, 0); err == nil || err == unix.EPERM {
			if _, gone := os.Stat("/proc/" + strconv.Itoa(pid)); gone != nil && unix.Kill(pid, 0) != unix.ESRCH {
				report(pack.Found, "a process that is not in /proc can be reached", strconv.Itoa(pid))
			}
		}
	}
	unix.PtraceAttach(1)
	var local unix.Iovec
	b := make([]byte, 8)
	local.Base = &b[0]
	local.SetLen(8)
	unix.ProcessVMReadv(1, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&b[0])), Len: 8}}, 0)
}

// signalFirst asks the first process to end: the toolbox stops, which it may.
func signalFirst(r *rand.Rand) {
	if r.IntN(4) == 0 {
		unix.Kill(1, pick(r, []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL}))
	}
}

// writeKernel writes where the kernel or another's cgroup listens.
func writeKernel(r *rand.Rand) {
	for range 8 {
		path := pick(r, []string{
			"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
			"/proc/sys/fs/binfmt_misc/register", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.subtree_control", "/sys/fs/cgroup/memory.max",
			"/sys/fs/cgroup/pids.max", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/fs/cgroup/../cgroup.procs",
			"/proc/1/oom_score_adj", "/proc/sys/net/ipv4/ip_forward",
		})
		if strings.HasSuffix(path, "oom_score_adj") {
			continue
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		f.Close()
		// Of a network of its own a toolbox may have its own settings, and podman leaves those writable to none.
		report(pack.Found, "opened for writing: "+path, where())
	}
}
