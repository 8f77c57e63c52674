//go:build remote

package podman

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
)

// profiles is where podman looks for its system call filter, containers.conf(5).
func profiles() []string {
	return []string{"/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"}
}

// denied are system calls that podman allows every container and tbx denies an isolated
// toolbox: in a user namespace of its own, a program has all capabilities, and so can
// reach most of the kernel's code.
func denied() []string {
	return []string{
		"unshare", "setns", "clone3",
		"mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "pivot_root",
		"keyctl", "add_key", "request_key",
		"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	}
}

// writeSeccomp writes the filter of isolated toolboxes to file, which podman reads only
// when it makes the container.
func writeSeccomp(file string) error {
	for _, p := range profiles() {
		data, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		if data, err = stricter(data); err != nil {
			return fail.Wrap(fail.Unable, err, "podman's system call filter %s cannot be used", p)
		}
		return atomicfile.WriteVolatile(file, data, 0o600)
	}
	return fail.New(fail.Unable, "podman's system call filter is missing, without which a toolbox cannot be isolated").
		Hint("install the package that has /usr/share/containers/seccomp.json (containers-common, on Debian golang-github-containers-common)")
}

// families are the address families, address_families(7), of the sockets in an isolated
// toolbox: between its own programs, of its network, and to the kernel about that
// network. AF_VSOCK, for example, ignores network namespaces and reaches the machine that
// this one runs on, or its guests.
func families() []uint64 {
	return []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
}

// stricter removes the denied calls from a profile, seccomp.json of containers-common,
// which denies everything that it does not list. It keeps only the native architecture:
// socketcall(2), by which 32-bit programs make sockets, has its arguments in memory,
// where no filter sees them.
func stricter(profile []byte) ([]byte, error) {
	var p map[string]any
	if err := json.Unmarshal(profile, &p); err != nil {
		return nil, err
	}
	rules, ok := p["syscalls"].([]any)
	if p["defaultAction"] != "SCMP_ACT_ERRNO" || !ok {
		return nil, fmt.Errorf("it does not deny what it does not list")
	}
	var out []any
	for _, r := range rules {
		rule, ok := r.(map[string]any)
		names, ok2 := rule["names"].([]any)
		if !ok || !ok2 {
			return nil, fmt.Errorf("it has a rule that names no system calls")
		}
		names = slices.DeleteFunc(names, func(n any) bool {
			name, _ := n.(string)
			return slices.Contains([]string{"clone", "ioctl", "socket", "socketpair", "socketcall"}, name) || slices.Contains(denied(), name)
		})
		if len(names) > 0 {
			rule["names"] = names
			out = append(out, rule)
		}
	}
	index := 0 // of the flags, clone(2)
	if runtime.GOARCH == "s390x" {
		index = 1
	}
	out = append(out,
		map[string]any{"names": []string{"clone"}, "action": "SCMP_ACT_ALLOW", "args": []any{
			map[string]any{"index": index, "value": newNamespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"},
		}},
		// Not clone3, whose flags a filter cannot see: if it is missing, a C library uses
		// another call.
		map[string]any{"names": slices.DeleteFunc(denied(), func(n string) bool { return n == "clone3" }), "action": "SCMP_ACT_ERRNO",
			"errnoRet": int(unix.EPERM)},
	)
	for _, arg := range harmlessIoctls() {
		out = append(out, map[string]any{"names": []string{"ioctl"}, "action": "SCMP_ACT_ALLOW", "args": []any{arg}})
	}
	out = append(out, sockets()...)
	if archs, ok := p["archMap"].([]any); ok {
		for _, a := range archs {
			if arch, ok := a.(map[string]any); ok {
				delete(arch, "subArchitectures")
			}
		}
	}
	p["syscalls"] = out
	return json.Marshal(p)
}

// sockets allows socket(2) and socketpair(2) for the allowed families. Other families get
// the answer of a kernel without them, so that programs use another way; unknown ones are
// denied like every unlisted call. NETLINK_AUDIT stays denied with EINVAL, as in podman's
// filter: libaudit, and so useradd(8), then believes that the kernel has no audit.
func sockets() []any {
	const netlinkAudit, named, low32 = 9, 64, 1<<32 - 1
	is := func(index int, value uint64) any { // the kernel looks at the low 32 bits
		return map[string]any{"index": index, "value": uint64(low32), "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
	}
	allow := func(name string, args ...any) any {
		return map[string]any{"names": []string{name}, "action": "SCMP_ACT_ALLOW", "args": args}
	}
	deny := func(errno syscall.Errno, args ...any) any {
		return map[string]any{"names": []string{"socket"}, "action": "SCMP_ACT_ERRNO", "errnoRet": int(errno), "args": args}
	}
	out := []any{allow("socketpair", is(0, unix.AF_UNIX)), deny(unix.EINVAL, is(0, unix.AF_NETLINK), is(2, netlinkAudit))}
	for family := range uint64(named) {
		switch {
		case family == unix.AF_NETLINK:
			for protocol := range uint64(netlinkAudit + 16) {
				if protocol != netlinkAudit {
					out = append(out, allow("socket", is(0, family), is(2, protocol)))
				}
			}
		case slices.Contains(families(), family):
			out = append(out, allow("socket", is(0, family)))
		default:
			out = append(out, deny(unix.EAFNOSUPPORT, is(0, family)))
		}
	}
	return out
}

// harmlessIoctls allows every ioctl(2) except TIOCSTI and TIOCLINUX, which type into a
// terminal, in case the toolbox gets one of the host's. The kernel compares the low 32
// bits of the request (CVE-2019-10063), and an allowing filter can compare for equality,
// not for inequality. So it allows a request that differs in one of the bits that TIOCSTI
// and TIOCLINUX have in common, and the other requests that share all of these bits.
func harmlessIoctls() []any {
	const in = unix.TIOCSTI &^ 0xf // and TIOCLINUX
	is := func(mask, value uint64) any {
		return map[string]any{"index": 1, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
	}
	var out []any
	for bit := uint64(0x10); bit <= 1<<31; bit <<= 1 {
		out = append(out, is(bit, ^uint64(in)&bit))
	}
	for last := uint64(0); last <= 0xf; last++ {
		if request := in | last; request != unix.TIOCSTI && request != unix.TIOCLINUX {
			out = append(out, is(1<<32-1, request))
		}
	}
	return out
}

const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
