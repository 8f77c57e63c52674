package auto_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate/auto"
)

// TestF69_Settings of a fleet that cannot be are refused with their file; a policy and what it needs may
// be in two.
func TestF69_Settings(t *testing.T) {
	p := newPlace(t)
	for text, want := range map[string]string{
		"[fleet]\ngraph = \"ftp://x\"\n": "no address of http", "[fleet]\nlock = \"lock.example\"\n": "no address of http",
		"[fleet]\ndialect = \"omaha\"\n": "none of coreos, openshift, file", "[fleet]\ngraph = \"/srv/graph.json\"\n": "needs dialect",
		"[fleet]\nwariness = 1.5\n": "not between 0 and 1", "[fleet]\nwariness = nan\n": "not between 0 and 1", "[fleet]\ngrup = \"a\"\n": "fleet.group",
		"[auto]\nreboot = \"fleet-lock\"\n": "needs the address of the lock",
	} {
		p.write("etc/tbx/host.toml", text, 0o644)
		_, _, err := auto.Load(auto.SettingsFiles(p.root))
		if said := fmt.Sprint(err, fail.Hints(err)); !errors.Is(err, fail.Usage) || !strings.Contains(said, "host.toml") || !strings.Contains(said, want) {
			t.Errorf("%q: %s", text, said)
		}
	}
	p.write("etc/tbx/host.toml", "", 0o644)
	w := &auto.Switch{Root: p.root, Dir: p.r.Dir, Tools: p.r.Tools, Program: "/usr/bin/true"}
	for range 2 { // what cannot be is not left behind
		if err := w.On(t.Context(), auto.FleetLock, false); !errors.Is(err, fail.Usage) {
			t.Errorf("%v", err)
		}
	}
	if s, _, err := auto.Load(auto.SettingsFiles(p.root)); err != nil || s.Reboot != auto.Never {
		t.Errorf("%+v, %v", s, err)
	}
	p.write("etc/tbx/host.toml.d/50-auto.toml", "[auto]\nreboot = \"fleet-lock\"\n", 0o644)
	p.write("etc/tbx/host.toml.d/60-fleet.toml", "[fleet]\nlock = \"http://lock.example\"\nwariness = 0.25\n", 0o644)
	p.write("etc/tbx/host.toml", "[fleet]\ngraph = \"/srv/graph.json\"\ndialect = \"file\"\n", 0o644)
	s, values, err := auto.Load(auto.SettingsFiles(p.root))
	if err != nil || s.Fleet.Lock != "http://lock.example" || s.Fleet.Graph != "/srv/graph.json" || s.Fleet.Wariness != 0.25 || !s.Policy().Lock {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, v := range values {
		if v.Key == "fleet.lock" && filepath.Base(v.Origin) != "60-fleet.toml" || v.Key == "fleet.group" && v.Origin != "default" {
			t.Errorf("%+v", v)
		}
	}
}
