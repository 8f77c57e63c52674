package bounded_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/bounded"
)

// TestX6_Endless: a program that never stops talking is ended, and what it said is
// kept up to the limit.
func TestX6_Endless(t *testing.T) {
	out := bounded.Buffer{Most: 64 << 10}
	cmd := exec.Command("yes", "hostile")
	cmd.Stdout = &out
	if err := cmd.Run(); err == nil {
		t.Error("it ended by itself")
	}
	if out.Len() != out.Most || !strings.HasPrefix(out.String(), "hostile\nhostile\n") {
		t.Errorf("%d bytes are kept", out.Len())
	}
}

func TestWithin(t *testing.T) {
	out := bounded.Buffer{Most: 4}
	for _, s := range []string{"", "ab", "cd"} {
		if n, err := out.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	if n, err := out.Write([]byte("e")); n != 0 || err == nil || out.String() != "abcd" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}
