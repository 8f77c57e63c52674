package auto_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// TestTold: layers that do not fit are named by what the updater said, told once, and forgotten when the
// update is made.
func TestTold(t *testing.T) {
	p := newPlace(t)
	var said, shown []string
	p.r.Outlets = &tell.Outlets{
		Root: p.root, Users: func(context.Context) []int { return []int{1000} },
		Show: func(_ context.Context, _ int, n tell.Notice) bool {
			shown = append(shown, n.Text+" "+n.Do)
			return true
		},
		Journal: func(text string, _ map[string]string) { said = append(said, text) },
	}
	p.h.layered, p.h.newest = []string{"htop", "vim", "strace"}, 2
	conflict := fail.Wrap(osupdate.ErrConflict, &osupdate.ToolError{Argv: []string{"rpm-ostree"}, Code: 1,
		Stderr: "error: Could not depsolve transaction; 1 problem detected:\n Problem: package htop-3.2.1-2.fc39.x86_64 requires libncursesw\n"}, "the packages do not fit")
	for range 3 {
		p.h.fails = conflict
		m, err := p.r.Run(t.Context())
		if m.State != machine.Waiting || !slices.Equal(m.Blockers, []string{"htop"}) {
			t.Fatalf("%+v, %v", m, err)
		}
		p.now = p.now.Add(25 * 3600e9)
	}
	if len(shown) != 1 || len(said) != 1 || !strings.Contains(shown[0], "tbx install htop; then tbx host uninstall htop") {
		t.Fatalf("%q, %q", shown, said)
	}
	v, s, err := auto.Look(t.Context(), p.root, p.r.Dir, quiet{}, p.now)
	if err != nil || len(v.Notices) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	v.Timer, v.Enabled = "enabled", true
	if text := strings.Join(v.Explain(s, p.now), "\n"); !strings.Contains(text, "tbx host uninstall htop") {
		t.Errorf("%s", text)
	}
	p.h.fails = nil
	m := p.run(machine.Staged, 25)
	if m.Blockers != nil || len(m.Told) != 0 || !p.r.Changed {
		t.Errorf("%+v", m)
	}
	if _, err := os.Stat(filepath.Join(p.root, "run/reboot-required")); err != nil {
		t.Error(err)
	}
	p.r.Changed = false
	if p.run(machine.Staged, 0.1); p.r.Changed {
		t.Error("nothing was changed")
	}
}

// TestDesktops: only people with a desktop of their own at this machine, each once.
func TestDesktops(t *testing.T) {
	bus := sessions{{UID: 1000, Class: "user", Type: "wayland"}, {UID: 1000, Class: "user", Type: "x11"}, {UID: 1001, Class: "user", Type: "tty"},
		{UID: 42, Class: "greeter", Type: "x11"}, {UID: 1002, Class: "user", Type: "x11", Remote: true}, {UID: 1003, Class: "user", Type: "x11", State: "closing"}}
	if got := auto.Desktops(bus)(t.Context()); !slices.Equal(got, []int{1000}) {
		t.Errorf("%v", got)
	}
}

// sessions is a bus with those.
type sessions []auto.Session

func (sessions) Metered(context.Context) (bool, error)              { return false, nil }
func (s sessions) Sessions(context.Context) ([]auto.Session, error) { return s, nil }

// TestStep: the toolboxes' turn comes once a day, after the host's, whatever came of that.
func TestStep(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(p.root, "run/tbx-host-step")
	turn := func() string {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return fi.ModTime().UTC().Format("02 15:04")
	}
	p.h.newest, p.h.fails = 2, fail.New(osupdate.ErrNetwork, "no network")
	if _, err := p.r.Run(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if got := turn(); got != "01 12:00" {
		t.Errorf("%s", got)
	}
	p.run(machine.Staged, 23)
	if got := turn(); got != "01 12:00" {
		t.Errorf("%s", got)
	}
	p.run(machine.Staged, 2)
	if got := turn(); got != "02 13:00" {
		t.Errorf("%s", got)
	}
}
