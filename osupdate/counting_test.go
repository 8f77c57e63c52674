package osupdate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// unmoved is an updater of one system that never changes.
type unmoved struct{ osupdate.Backend }

func (unmoved) Kind() osupdate.Kind                 { return osupdate.NixOS }
func (unmoved) Capabilities() osupdate.Capabilities { return osupdate.Capabilities{} }
func (unmoved) Explain(e *osupdate.ToolError) error { return e }
func (unmoved) State(context.Context) (*osupdate.State, error) {
	return (&osupdate.State{Deployments: []osupdate.Deployment{{ID: "1", Booted: true}}}).Arrange(), nil
}

// counted is a host with a timer of rpm-ostree, and dnf with three repositories.
func counted(t *testing.T, dnf string) (*osupdate.Host, string) {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("nix/x", "", 0o644)
	if err := errors.Join(os.MkdirAll(root+"/run", 0o755), os.Symlink("/nix/x", root+"/run/current-system")); err != nil {
		t.Fatal(err)
	}
	write("etc/NIXOS", "", 0o644)
	write("unit", "enabled\n", 0o644)
	write("etc/yum.repos.d/fedora.repo", "[fedora]\nname=F\ncountme=1\n\n[fedora-source]\nname=S\n", 0o644)
	write("etc/yum.repos.d/other.repo", "[updates]\n countme = True\n", 0o644)
	write("bin/systemctl", `#!/bin/sh
echo "$*" >> `+root+`/called
case "$1 $3 $2" in
"is-enabled  rpm-ostree-countme.timer") cat `+root+`/unit ;;
"is-enabled "*) echo not-found; exit 4 ;;
"mask "*) echo masked > `+root+`/unit ;;
"enable "*) echo enabled > `+root+`/unit ;;
esac
`, 0o755)
	write("bin/"+dnf, `#!/bin/sh
echo "`+dnf+` $*" >> `+root+`/called
case "$2" in
setopt) mkdir -p `+root+`/etc/dnf/repos.override.d; printf '[*]\ncountme=0\n' > `+root+`/etc/dnf/repos.override.d/99.repo ;;
unsetopt) rm -f `+root+`/etc/dnf/repos.override.d/99.repo ;;
--save) case "$*" in *countme=0) to=0 ;; *) to=1 ;; esac; sed -i "s/^ *countme *=.*/countme=$to/" `+root+`/etc/yum.repos.d/*.repo ;;
esac
`, 0o755)
	h, err := osupdate.Open(osupdate.Config{
		Root: root, Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}, Env: []string{"PATH=" + os.Getenv("PATH")}}, StateDir: root + "/state",
		LockPath: root + "/lock", Superuser: true,
		NewBackend: func(d osupdate.Detection, cfg osupdate.Config) (osupdate.Backend, error) {
			return unmoved{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, root
}

func states(t *testing.T, h *osupdate.Host) string {
	t.Helper()
	all, err := h.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range all {
		out = append(out, c.State)
	}
	return strings.Join(out, " ")
}

// TestH103_Counting is switched off and on again, twice is once, and only what counted counts again.
func TestH103_Counting(t *testing.T) {
	for dnf, want := range map[string][2]string{
		"dnf":  {"dnf config-manager --save --setopt=fedora.countme=0 --setopt=updates.countme=0", "dnf config-manager --save --setopt=fedora.countme=1 --setopt=updates.countme=1"},
		"dnf5": {"dnf5 config-manager setopt *.countme=0", "dnf5 config-manager unsetopt *.countme"},
	} {
		h, root := counted(t, dnf)
		if got := states(t, h); got != "on absent on" {
			t.Fatalf("%s: %s", dnf, got)
		}
		for i, to := range []string{"off", "on"} {
			res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Counting, Target: to}, false)
			if err != nil || res.Unchanged != "" {
				t.Fatalf("%s %s: %+v, %v", dnf, to, res, err)
			}
			if got := states(t, h); got != to+" absent "+to {
				t.Errorf("%s %s: %s", dnf, to, got)
			}
			if res, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Counting, Target: to}, false); err != nil || res.Unchanged == "" {
				t.Errorf("%s %s twice: %+v, %v", dnf, to, res, err)
			}
			if called, err := os.ReadFile(root + "/called"); err != nil || !strings.Contains(string(called), want[i]+"\n") {
				t.Errorf("%s, %v", called, err)
			}
		}
	}
}

// TestH103_NotSwitched: a tool that says done and did nothing is not believed; other words are refused.
func TestH103_NotSwitched(t *testing.T) {
	h, root := counted(t, "dnf")
	if err := os.WriteFile(root+"/bin/dnf", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Counting, Target: "off"}, false); !errors.Is(err, osupdate.ErrUnverified) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(root+"/bin/dnf", []byte("#!/bin/sh\necho 'No such command: config-manager' >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Counting, Target: "off"}, false); !errors.Is(err, osupdate.ErrBackend) || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
	for _, word := range []string{"", "status", "maybe"} {
		if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Counting, Target: word}, false); !errors.Is(err, fail.Usage) {
			t.Errorf("%q: %v", word, err)
		}
	}
}
