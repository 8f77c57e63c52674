//go:build remote

package podman

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containers/common/pkg/capabilities"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox"
)

// TestStricter: what is denied is in no rule that allows, clone only where its
// flags ask for no namespace, and the rest stays.
func TestStricter(t *testing.T) {
	out, err := stricter([]byte(`{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [1], "syscalls": [
		{"names": ["read", "unshare", "clone", "clone3", "keyctl", "ioctl"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["bpf", "perf_event_open"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
		{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		ArchMap  []int
		Syscalls []struct {
			Names  []string
			Action string
			Args   []map[string]any
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.ArchMap) != 1 {
		t.Error("the architectures are gone")
	}
	read := false
	seen := map[string]int{}
	for _, r := range p.Syscalls {
		for _, n := range r.Names {
			seen[n]++
			read = read || n == "read" && r.Action == "SCMP_ACT_ALLOW"
			switch {
			case n == "clone" && (r.Action != "SCMP_ACT_ALLOW" || len(r.Args) != 1 || r.Args[0]["value"] != float64(newNamespaces) || r.Args[0]["op"] != "SCMP_CMP_MASKED_EQ"):
				t.Errorf("clone: %+v", r)
			case slices.Contains(denied(), n) && r.Action != "SCMP_ACT_ERRNO":
				t.Errorf("%s: %s", n, r.Action)
			}
		}
	}
	for n, count := range seen {
		if count != 1 && n != "ioctl" && n != "socket" {
			t.Errorf("%s is in %d rules", n, count)
		}
	}
	if !read || seen["clone3"] != 0 || seen["clone"] != 1 || seen["keyctl"] != 1 {
		t.Errorf("%v", seen)
	}
	for _, bad := range []string{`{`, `{}`, `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}`, `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"name": "read"}]}`} {
		if _, err := stricter([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestIoctls judges requests as the kernel does, by the rules that allow ioctl(2):
// all but two, whatever is in the upper half, which the kernel does not look at.
func TestIoctls(t *testing.T) {
	out, err := stricter([]byte(`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Syscalls []struct {
			Names  []string
			Action string
			Args   []struct {
				Index, Value, ValueTwo uint64
				Op                     string
			}
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	allowed := func(request uint64) bool {
		for _, r := range p.Syscalls {
			if !slices.Contains(r.Names, "ioctl") {
				continue
			}
			if r.Action != "SCMP_ACT_ALLOW" || len(r.Args) != 1 || r.Args[0].Index != 1 || r.Args[0].Op != "SCMP_CMP_MASKED_EQ" {
				t.Fatalf("%+v", r)
			}
			if request&r.Args[0].Value == r.Args[0].ValueTwo {
				return true
			}
		}
		return false
	}
	requests := []uint64{0, unix.TCGETS, unix.TIOCINQ, unix.BLKGETSIZE64, 0xffffffff, unix.TIOCSTI | 1<<31}
	for r := uint64(0x5300); r < 0x5600; r++ {
		requests = append(requests, r)
	}
	for _, r := range requests {
		for _, upper := range []uint64{0, 1 << 32, 0xffffffff << 32} {
			if want := r != unix.TIOCSTI && r != unix.TIOCLINUX; allowed(upper|r) != want {
				t.Errorf("%#x: allowed is %t", upper|r, !want)
			}
		}
	}
}

// TestX5_Families judges socket(2) as the kernel does, by the rules that allow it:
// four families, whatever is in the upper half, which the kernel does not look at.
func TestX5_Families(t *testing.T) {
	out, err := stricter([]byte(`{"defaultAction": "SCMP_ACT_ERRNO",
		"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
		"syscalls": [{"names": ["socket", "socketpair", "socketcall", "bind"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {"caps": ["CAP_AUDIT_WRITE"]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "subArchitectures") || strings.Contains(string(out), "socketcall") {
		t.Error("another architecture's calls are allowed, whose arguments no filter sees")
	}
	var p struct {
		Syscalls []struct {
			Names  []string
			Action string
			Args   []struct {
				Index           int
				Value, ValueTwo uint64
				Op              string
			}
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	allowed := func(call string, args [3]uint64) bool {
		for _, r := range p.Syscalls {
			if !slices.Contains(r.Names, call) || r.Action != "SCMP_ACT_ALLOW" {
				continue
			}
			fits := true
			for _, a := range r.Args {
				if a.Op != "SCMP_CMP_MASKED_EQ" {
					t.Fatalf("%+v", r)
				}
				fits = fits && args[a.Index]&a.Value == a.ValueTwo
			}
			if fits {
				return true
			}
		}
		return false
	}
	for family := range uint64(300) {
		for _, upper := range []uint64{0, 1 << 32, 0xffffffff << 32} {
			for _, protocol := range []uint64{0, 9, 15} {
				want := family == unix.AF_UNIX || family == unix.AF_INET || family == unix.AF_INET6 || family == unix.AF_NETLINK && protocol != 9
				if got := allowed("socket", [3]uint64{upper | family, unix.SOCK_STREAM, protocol}); got != want {
					t.Errorf("family %#x, protocol %d: allowed is %t", upper|family, protocol, got)
				}
			}
			if got := allowed("socketpair", [3]uint64{upper | family, unix.SOCK_STREAM}); got != (family == unix.AF_UNIX) {
				t.Errorf("a pair of %#x: allowed is %t", upper|family, got)
			}
		}
	}
	if !allowed("bind", [3]uint64{}) {
		t.Error("bind is gone")
	}
}

// TestDropped: what podman knows is dropped or kept, nothing is both, and what opens the
// host is dropped.
func TestDropped(t *testing.T) {
	h, err := toolbox.LookAtHost(append(os.Environ(), "HOME=/home/jane"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := toolbox.NewPlan("x", &toolbox.Spec{Isolated: true}, h, toolbox.Place{})
	if err != nil {
		t.Fatal(err)
	}
	out := p.CapDrop
	both := slices.Clone(out)
	for _, c := range toolbox.KeptCapabilities() {
		both = append(both, "CAP_"+c)
	}
	if known := capabilities.AllCapabilities(); !slices.Equal(slices.Sorted(slices.Values(both)), known) {
		t.Errorf("dropped and kept are %s, and podman knows %s", both, known)
	}
	for _, c := range []string{"SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_MODULE", "DAC_READ_SEARCH", "SETPCAP"} {
		if !slices.Contains(out, "CAP_"+c) {
			t.Errorf("%s is not dropped", c)
		}
	}
	for _, c := range toolbox.KeptCapabilities() {
		if slices.Contains(out, "CAP_"+c) {
			t.Errorf("%s is dropped", c)
		}
	}
}
