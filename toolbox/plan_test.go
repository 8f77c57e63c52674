package toolbox

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/xdg"
	"github.com/tbx-project/tbx/toolbox/integration"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestParseVolume(t *testing.T) {
	for _, c := range []struct{ in, typ, source, target, options string }{
		{"/a:/b", "bind", "/a", "/b", "rbind,rslave"},
		{"/a/../c/:/b/", "bind", "/c", "/b", "rbind,rslave"},
		{"/a:/b:ro", "bind", "/a", "/b", "rbind,rslave,ro"},
		{"/a:/b:ro,rprivate", "bind", "/a", "/b", "rbind,ro,rprivate"},
		{"/a:/b:rslave", "bind", "/a", "/b", "rbind,rslave"},
		{"/a:/b:bind,rbind", "bind", "/a", "/b", "rslave,bind,rbind"},
		{"/a:/b:bind,private", "bind", "/a", "/b", "bind,private"},
		{"/:/mnt/all", "bind", "/", "/mnt/all", "rbind,rslave"},
		{"cache:/var/cache/apt", "volume", "cache", "/var/cache/apt", ""},
		{"cache:/x:nosuid", "volume", "cache", "/x", "nosuid"},
		{"/with space:/with space", "bind", "/with space", "/with space", "rbind,rslave"},
	} {
		m, err := ParseVolume(c.in)
		if err != nil || m.Type != c.typ || m.Source != c.source || m.Target != c.target || strings.Join(m.Options, ",") != c.options {
			t.Errorf("%q: %+v, %v", c.in, m, err)
		}
	}
	for _, bad := range []string{"", ":", "/a", "/a:", ":/b", "/a:b", "a/b:/c", "./a:/c", "/a:/b:", "/a:/b:up", "/a:/b:ro:rw", "/a:/", "/a:/b/..", "/a:/proc", "/a:/run/tbx", "/a:/run/tbx/state"} {
		if m, err := ParseVolume(bad); !errors.Is(err, fail.Usage) {
			t.Errorf("%q was taken as %+v (%v)", bad, m, err)
		}
	}
}

// FuzzParseVolume: what is taken cannot cover what a toolbox lives of.
func FuzzParseVolume(f *testing.F) {
	for _, s := range []string{"/a:/b", "/a:/b:ro,rslave", "v:/x", "/a:/proc/", "/a:/run/tbx/../tbx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseVolume(s)
		if err != nil {
			return
		}
		if !filepath.IsAbs(m.Target) || filepath.Clean(m.Target) != m.Target || slices.Contains([]string{"/", "/proc", "/run/tbx"}, m.Target) || strings.HasPrefix(m.Target, "/run/tbx/") {
			t.Errorf("target %q of %q", m.Target, s)
		}
		if m.Type == "bind" != filepath.IsAbs(m.Source) || m.Source == "" || m.Reason == "" {
			t.Errorf("%q: %+v", s, m)
		}
	})
}

// testHost is a host as a plan sees it.
func testHost() *Host {
	return &Host{
		UID: 1000, GID: 1000, User: "jane", Group: "jane", Home: "/home/jane", RealHome: "/var/home/jane", Shell: "/bin/bash",
		Hostname: "desk", RuntimeDir: "/run/user/1000", HasRuntime: true, Systemd: true, CDI: []string{"nvidia.com/gpu"},
		Dirs: xdg.Dirs{Config: "/home/jane/.config/tbx", Data: "/home/jane/.local/share/tbx"},
	}
}

func testSpec() *Spec {
	return &Spec{
		Version: 1, ID: strings.Repeat("ab", 16), Created: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC),
		Image: "localhost/debian:12", ImageID: strings.Repeat("0", 64),
	}
}

// TestNewPlan compares whole plans with testdata/plan-*.json, which a reviewer
// reads: every mount and its reason. Write them anew with -update.
func TestNewPlan(t *testing.T) {
	for _, c := range []struct {
		name string
		spec func(*Spec)
		host func(*Host)
		tree bool
	}{
		{name: "default", tree: true},
		{name: "no-tree"},
		{name: "own", tree: true, spec: func(s *Spec) {
			s.Hostname, s.Home = "box", "/srv/box"
			s.Volumes = []string{"/srv/data:/data:ro", "cache:/var/cache/apt"}
			s.Env = []string{"A=b c", "HOME=/elsewhere"}
		}},
		{name: "parts", tree: true, spec: func(s *Spec) { s.Without = []string{integration.Audio} }},
		{name: "nothing", tree: true, spec: func(s *Spec) { s.Without = known() }},
		{name: "isolated", spec: func(s *Spec) {
			s.Isolated, s.Share, s.Volumes = true, []string{"/home/jane/src:ro", "/home/jane/src/it"}, []string{"cache:/var/cache/apt", "/srv:/srv:ro"}
		}},
		{name: "isolated-limits", spec: func(s *Spec) {
			s.Isolated, s.NoNetwork, s.Hostname, s.Memory, s.ShmSize, s.GPU = true, true, "cell", "12g", "1g", true
		}, host: func(h *Host) {
			h.Limits = func(string) bool { return true }
			h.RenderNodes = func() []string { return []string{"/dev/dri/renderD128"} }
		}},
		{name: "no-session", host: func(h *Host) { h.HasRuntime, h.RuntimeDir, h.CDI = false, "/tmp/tbx-runtime-1000", nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, h := testSpec(), testHost()
			if c.spec != nil {
				c.spec(s)
			}
			if c.host != nil {
				c.host(h)
			}
			p, err := NewPlan("web", s, h, Place{
				BoxDir: "/home/jane/.local/share/tbx/box", Box: "0123456789abcdef", Tree: c.tree, Bridge: "/run/user/1000/tbx/bridge/box/abab",
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", "plan-"+c.name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("not as in %s (look at it, then -update):\n%s", golden, got)
			}
			for _, m := range p.Mounts {
				if m.Reason == "" {
					t.Errorf("%s is mounted for no reason", m.Target)
				}
			}
		})
	}
}
