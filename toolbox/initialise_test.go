package toolbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// known are the integrations that the files of TestInitConfig and TestNewPlan are about.
func known() []string {
	return []string{
		"home", "host", "tmp", "media", "x11", "wayland", "audio", "dbus", "system-bus", "ssh-agent", "gpg-agent", "devices", "gpu",
		"groups", "locale", "timezone", "dns", "terminfo", "environment", "services", "bridge",
	}
}

// TestInitConfig compares what the initialiser is told with testdata/init-*.json, with
// the integrations that are known: another one has a test of its own. Write the
// files anew with -update.
func TestInitConfig(t *testing.T) {
	for _, c := range []struct {
		name    string
		without []string
		spec    func(*Spec)
		mounts  []Mapping
	}{
		{name: "default"},
		{name: "own-home", spec: func(s *Spec) { s.Home, s.Hostname = "/srv/box", "box" }},
		{name: "no-host", without: []string{"host", "devices"}},
		{name: "parts", without: []string{"audio", "tmp"}, mounts: []Mapping{{Target: "/run/tbx/host-runtime"}, {Target: boxinit.HostView}}},
		{name: "nothing", without: known()},
		{name: "isolated", spec: func(s *Spec) { s.Isolated, s.GPU, s.Share = true, true, []string{"/srv/it"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, s := testHost(), testSpec()
			h.Env, s.Without = []string{"WAYLAND_DISPLAY=wayland-7", "LANG=de_DE.UTF-8"}, c.without
			for _, i := range integration.All() {
				if !slices.Contains(known(), i.Key) {
					s.Without = append(s.Without, i.Key)
				}
			}
			h.Exists = func(string) bool { return true }
			if c.spec != nil {
				c.spec(s)
			}
			m := &Manager{Host: h}
			cfg := m.initConfig(&Box{Container: Container{Mounts: c.mounts}, Name: "web", Spec: s})
			cfg.Locales, cfg.Zone, cfg.ZoneAt = cfg.Locales[:min(1, len(cfg.Locales))], "", false // the rest is of the machine that tests
			cfg.Inside = boxinit.Inside{}                                                         // it belongs to no integration
			got, err := json.MarshalIndent(cfg, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "init-"+c.name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("not as in %s (look at it, then -update):\n%s", golden, got)
			}
		})
	}
}
