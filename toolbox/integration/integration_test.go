package integration

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// facts are those of a desktop on which only some integrations are on.
func facts(on ...string) *Facts {
	return &Facts{
		Has:  func(key string) bool { return slices.Contains(on, key) },
		Home: "/home/jane", HomeAt: "/home/jane", RuntimeDir: "/run/user/1000", BoxRuntime: "/run/user/1000",
		CDI: []string{"nvidia.com/gpu"}, Locales: func() []string { return []string{"C"} }, Zone: func() (string, bool) { return "Etc/UTC", true },
	}
}

// effect is everything that integrations do.
type effect struct {
	Mounts, View []Mount
	Devices      []string
	HostDirs     []HostDirs
	Static       []string
	Config       boxinit.Config
}

func effectOf(f *Facts) effect {
	e := effect{Mounts: f.Mounts(), View: f.View(), Devices: f.Devices(), HostDirs: f.HostDirs(), Static: f.Static()}
	e.Config.NoDevices, e.Config.HostRuntime = true, HostRuntime
	f.Configure(&e.Config)
	return e
}

func TestRecords(t *testing.T) {
	keys, owners := map[string]bool{}, map[string]string{}
	for _, i := range All() {
		if i.Key == "" || i.What == "" || i.How == "" || keys[i.Key] {
			t.Errorf("%q: it has no key of its own, or does not say what it is", i.Key)
		}
		keys[i.Key] = true
		text, err := os.ReadFile(i.Key + ".go")
		if err != nil || !strings.Contains(string(text), "= \""+i.Key+"\"\n") {
			t.Errorf("%s is not in a file of its own: %v", i.Key, err)
		}
		if i.NeedsHostView && !strings.Contains(i.How, "(h)") {
			t.Errorf("%s does not say that it works by the host view", i.Key)
		}
		for _, v := range i.Variables {
			if owners[v] != "" || OfVariable(v) != i.Key {
				t.Errorf("%s goes with %s and with %s", v, i.Key, owners[v])
			}
			owners[v] = i.Key
		}
		if !slices.IsSorted(i.Variables) {
			t.Errorf("the variables of %s are not sorted", i.Key)
		}
		for _, m := range effectOf(facts(i.Key)).Mounts {
			if m.Reason == "" || m.Integration != i.Key && m.Integration != "" && m.Integration != SessionBus {
				t.Errorf("%s mounts %+v", i.Key, m)
			}
		}
	}
	if OfVariable("NAME_OF_NOTHING") != Environment {
		t.Error("a variable of no integration is not the environment's")
	}
}

// What is off does nothing, and what is on does the same each time.
func TestEffects(t *testing.T) {
	nothing := effectOf(facts())
	if len(nothing.Mounts)+len(nothing.View)+len(nothing.Devices)+len(nothing.HostDirs)+len(nothing.Static) != 0 {
		t.Errorf("with all integrations off: %+v", nothing)
	}
	if want := (boxinit.Config{NoDevices: true, HostRuntime: HostRuntime}); !reflect.DeepEqual(nothing.Config, want) {
		t.Errorf("with all integrations off: %+v", nothing.Config)
	}
	for _, i := range All() {
		first, second := effectOf(facts(i.Key)), effectOf(facts(i.Key))
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s: %+v, then %+v", i.Key, first, second)
		}
		elsewhere := len(i.Variables) > 0 || i.Key == Groups || i.Key == Environment // in the session, and in the plan's options
		if reflect.DeepEqual(first, nothing) && !elsewhere {
			t.Errorf("%s does nothing", i.Key)
		}
	}
}

// The runtime directory is mounted whole only where nothing in it is off.
func TestRuntimeDirectory(t *testing.T) {
	for _, c := range []struct {
		on     []string
		target string
	}{
		{[]string{Wayland, Audio, SessionBus, SSHAgent, GPGAgent}, "/run/user/1000"},
		{[]string{Wayland, Audio, SessionBus, SSHAgent}, HostRuntime},
		{[]string{GPGAgent}, HostRuntime},
		{[]string{X11}, ""},
	} {
		target := ""
		for _, m := range facts(c.on...).Mounts() {
			target += m.Target
		}
		if target != c.target {
			t.Errorf("%q: %q, want %q", c.on, target, c.target)
		}
	}
	f := facts(Wayland)
	f.Env = []string{"WAYLAND_DISPLAY=wayland-7"}
	if e := effectOf(f); !slices.Equal(e.Config.RuntimeLinks, []string{"wayland-7"}) {
		t.Errorf("links: %q", e.Config.RuntimeLinks)
	}
	f.RuntimeDir = ""
	if mounts := f.Mounts(); len(mounts) != 0 {
		t.Errorf("without a session: %+v", mounts)
	}
}

func TestCheck(t *testing.T) {
	if err := Check([]string{X11, Bridge}); err != nil {
		t.Error(err)
	}
	if err := Check([]string{X11, "x12"}); err == nil || !strings.Contains(err.Error(), `"x12"`) {
		t.Errorf("x12: %v", err)
	}
}
