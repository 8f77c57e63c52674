package selinux

import "testing"

func TestType(t *testing.T) {
	for label, want := range map[string]string{
		"system_u:system_r:container_t:s0:c111,c762":            "container_t",
		"unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023": "unconfined_t",
		"kernel": "kernel",
	} {
		if got := Type(label); got != want {
			t.Errorf("%s: %s, want %s", label, got, want)
		}
	}
}

// TestMakeSockets: f is called, whatever the kernel says of the label. What the
// labels are is in tests/vm.
func TestMakeSockets(t *testing.T) {
	for _, label := range []string{"", "no such label"} {
		called := 0
		if err := MakeSockets(label, func() { called++ }); called != 1 || label == "" && err != nil {
			t.Errorf("%q: called %d times, %v", label, called, err)
		}
	}
}
