//go:build remote

package podman

import (
	"encoding/json"
	"slices"
	"testing"

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
		if count != 1 && n != "ioctl" {
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

// TestDropped: nothing is both dropped and kept, and what opens the host is dropped.
func TestDropped(t *testing.T) {
	out := dropped()
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
