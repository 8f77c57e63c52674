package osupdate_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// TestH104_DespiteUsers: logind is asked by its own call, and not where a program inhibits it, root's own too.
func TestH104_DespiteUsers(t *testing.T) {
	h, root := counted(t, "dnf")
	script := func(name, text string) {
		if err := os.WriteFile(root+"/bin/"+name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("busctl", `echo "busctl $*" >> `+root+`/called`)
	script("systemd-inhibit", `echo 'burner 0 root 530 systemd-inhibit shutdown burning block'`)
	r := osupdate.Request{Verb: osupdate.Reboot, DespiteUsers: true}
	if _, err := h.Do(t.Context(), r, false); !errors.Is(err, osupdate.ErrInhibited) || !strings.Contains(err.Error(), "burner") || len(fail.Hints(err)) == 0 {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(root + "/called"); err == nil {
		t.Fatal("it was asked for")
	}
	script("systemd-inhibit", `echo 'nm 0 root 1 NetworkManager sleep wants delay'`)
	if _, err := h.Do(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(root + "/called"); err != nil || !strings.Contains(string(data), "login1.Manager RebootWithFlags t 1") {
		t.Errorf("%s, %v", data, err)
	}
	r.Soft = true
	if _, err := h.Do(t.Context(), r, false); !errors.Is(err, fail.Usage) {
		t.Errorf("%v", err)
	}
}
