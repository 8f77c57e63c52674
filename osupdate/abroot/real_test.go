package abroot_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// real is what ABRoot at 89b4ae0 printed in a machine without lspci.
const real = "Error getting GPU info: exec: \"lspci\": executable file not found in $PATH\n" +
	`{"present":"vos-a","future":"vos-b","cpu":"QEMU","gpu":null,"memory":"1969 MB","abimage":{"digest":"sha256:3f1c","timestamp":"2026-10-01T08:00:00Z","image":"ghcr.io/vanilla-os/desktop:main"},` +
	`"kargs":"quiet splash bgrt_disable $vt_handoff","pkgsAdd":[],"pkgsRm":[],"pkgsUnstg":null,"pkgMngStatus":1,"pkgMngAg":false}` + "\n"

// TestH39_LinesAndColours: a warning before the JSON, and colours in its words.
func TestH39_LinesAndColours(t *testing.T) {
	refused := "\x1b[30;101m\x1b[30;101m  ERROR  \x1b[0m\x1b[0m \x1b[91m\x1b[91mfailed to create image source: pinging container registry ghcr.io: dial tcp: no such host\x1b[0m\x1b[0m\n"
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"abroot": {{Args: "status -j", Stdout: real}, {Args: "upgrade -c", Stderr: refused, Code: 1}}})
	h := open(t, config(t, t.TempDir(), tool))
	st, err := h.Status(t.Context())
	if err != nil || st.State.Next().ID != "vos-a" {
		t.Fatalf("%+v, %v", st, err)
	}
	_, err = h.Check(t.Context())
	if !errors.Is(err, osupdate.ErrNetwork) || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("%q", err)
	}
}

// TestH6_PackagesOnNoRoot: "No changes to apply.", 0, and the package is on neither root.
func TestH6_PackagesOnNoRoot(t *testing.T) {
	for name, unstaged := range map[string]string{"names": `["+htop"]`, "objects": `[{"Name":"htop","Status":"+"}]`} {
		after := strings.Replace(strings.Replace(real, `"pkgsAdd":[]`, `"pkgsAdd":["htop"]`, 1), `"pkgsUnstg":null`, `"pkgsUnstg":`+unstaged, 1)
		tool := osupdatetest.NewTool(t, "before", map[string][]osupdatetest.Call{"abroot": {
			{In: "before", Args: "status -j", Stdout: after}, {Args: "pkg apply", Stdout: "No changes to apply.\n"},
		}})
		_, err := open(t, config(t, t.TempDir(), tool)).Do(t.Context(), osupdate.Request{Verb: osupdate.Install, Packages: []string{"htop"}}, false)
		if !errors.Is(err, osupdate.ErrUnverified) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
