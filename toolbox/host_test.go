package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

// I9: whatever HOME says, the home is an absolute directory that a toolbox can
// have at the same path, or a refusal that names it.
func TestI9_Homes(t *testing.T) {
	work, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(work, "a, b")
	colon := filepath.Join(work, "a:b")
	for path, to := range map[string]string{"link": real, "to-root": "/", "to-colon": colon} {
		if err := errors.Join(os.MkdirAll(real, 0o700), os.MkdirAll(colon, 0o700), os.Symlink(to, filepath.Join(work, path))); err != nil {
			t.Fatal(err)
		}
	}
	look := func(env ...string) (*Host, error) { return LookAtHost(append(env, "XDG_RUNTIME_DIR=/nowhere")) }
	account, err := look()
	if err != nil {
		t.Fatal(err)
	}
	for home, want := range map[string][2]string{
		"":                             {account.Home, account.RealHome}, // from passwd(5)
		"relative/x":                   {account.Home, account.RealHome},
		real:                           {real, real},
		real + "/../a, b//":            {real, real},
		filepath.Join(work, "link"):    {filepath.Join(work, "link"), real},
		filepath.Join(work, "missing"): {filepath.Join(work, "missing"), filepath.Join(work, "missing")},
	} {
		h, err := look("HOME=" + home)
		if err != nil || h.Home != want[0] || h.RealHome != want[1] {
			t.Errorf("HOME=%q: %+v, %v, want %q", home, h, err, want)
		}
	}
	for _, home := range []string{"/", "//", "/usr", "/etc/", "/run/../tmp", colon, work + "/a\nb", work + "/a\x1b", filepath.Join(work, "to-root"), filepath.Join(work, "to-colon")} {
		h, err := look("HOME=" + home)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewPlan("one", &Spec{}, h, Place{BoxDir: "/box", Box: "1"}); !errors.Is(err, fail.Unable) || len(fail.Hints(err)) == 0 || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("HOME=%q: %v", home, err)
		}
	}
}

// I10: who makes a toolbox where nobody is logged in is told what it lacks, for it
// lacks it for good.
func TestI10_WithoutSession(t *testing.T) {
	for _, c := range []struct {
		name string
		has  bool
		spec Spec
		said bool
	}{
		{"a session", true, Spec{}, false},
		{"none", false, Spec{}, true},
		{"none, for one that is isolated", false, Spec{Isolated: true}, false},
		{"none, for one that would share nothing of it", false, Spec{Without: []string{"wayland", "audio", "dbus", "ssh-agent", "gpg-agent"}}, false},
	} {
		if got := withoutSession(&Host{UID: 1000, HasRuntime: c.has}, "web", &c.spec); (got != "") != c.said {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
