package toolbox

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

func itoa(n int) string { return strconv.Itoa(n) }

func ptr[T any](v T) *T { return &v }

// TestE6_Changes: a change and its opposite end where they began, a value takes the place
// of another of its kind, and what is not there cannot be taken away.
func TestE6_Changes(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	base := testSpec()
	base.Volumes, base.Env, base.Without = []string{"/srv/a:/a", "cache:/c:ro"}, []string{"A=1", "B=2"}, []string{integration.X11}
	apply := func(s *Spec, c Change) *Spec {
		t.Helper()
		out, err := c.of(m, "web", s)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		return out
	}
	for what, c := range map[string][2]Change{
		"volumes":      {{Volumes: []string{"/srv/b:/b"}}, {NoVolumes: []string{"/b"}}},
		"by source":    {{Volumes: []string{"/srv/b:/b"}}, {NoVolumes: []string{"/srv/b"}}},
		"whole":        {{Volumes: []string{"d:/b:ro"}}, {NoVolumes: []string{"d:/b:ro"}}},
		"by name":      {{Volumes: []string{"d:/b"}}, {NoVolumes: []string{"d"}}},
		"replaced":     {{Volumes: []string{"/srv/z:/a/"}}, {Volumes: []string{"/srv/a:/a"}}},
		"env":          {{Env: []string{"C=3"}}, {NoEnv: []string{"C"}}},
		"env, again":   {{Env: []string{"A=9"}}, {Env: []string{"A=1"}}},
		"off and on":   {{Off: []string{integration.Audio, integration.GPU}}, {On: []string{integration.GPU, integration.Audio}}},
		"on and off":   {{On: []string{integration.X11}}, {Off: []string{integration.X11}}},
		"hostname":     {{Hostname: ptr("x")}, {Hostname: ptr("")}},
		"home":         {{Home: ptr("/srv/home")}, {Home: ptr(m.Host.Home)}},
		"home off":     {{Off: []string{integration.Home}}, {Home: ptr(m.Host.RealHome)}},
		"home by null": {{Home: ptr("/srv/home")}, {Home: ptr("")}},
	} {
		there := apply(base, c[0])
		if there.Hash() == base.Hash() {
			t.Errorf("%s: nothing changed", what)
		}
		if back := apply(there, c[1]); back.Hash() != base.Hash() {
			t.Errorf("%s: %+v", what, differences(base, back))
		}
	}
	if got := apply(base, Change{Volumes: []string{"/srv/z:/a:ro"}}).Volumes; !slices.Equal(got, []string{"/srv/z:/a:ro", "cache:/c:ro"}) {
		t.Errorf("%q", got)
	}
	if got := apply(base, Change{}); got.Hash() != base.Hash() {
		t.Errorf("no change is one: %+v", differences(base, got))
	}
	for what, c := range map[string]Change{
		"volume": {NoVolumes: []string{"/b"}}, "a part of a path": {NoVolumes: []string{"/srv"}}, "variable": {NoEnv: []string{"C"}}, "a value": {NoEnv: []string{"A=1"}}, "share": {NoShare: []string{"/srv"}},
	} {
		if _, err := c.of(m, "web", base); !errors.Is(err, fail.NotFound) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, c := range map[string]Change{
		"integration": {On: []string{"x12"}}, "share": {Share: []string{"~/src"}}, "network": {Network: ptr(false)}, "memory": {Memory: ptr("x")}, "shm": {ShmSize: ptr("1g")}, "pids": {Pids: ptr(int64(-1))},
	} {
		if _, err := c.of(m, "web", base); !errors.Is(err, fail.Usage) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestE6_ChangesOfAnIsolatedToolbox: its own settings, and what it has none of.
func TestE6_ChangesOfAnIsolatedToolbox(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	m.Host.RenderNodes = func() []string { return []string{"/dev/dri/renderD128"} }
	base, err := m.newSpec(CreateOptions{Name: "cell", Isolated: true, Share: []string{"~/src:ro"}})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string][2]Change{
		"share":   {{NoShare: []string{"~/src"}}, {Share: []string{"~/src:ro"}}},
		"to read": {{Share: []string{"~/src"}}, {Share: []string{"~/src:ro"}}},
		"network": {{Network: ptr(false)}, {Network: ptr(true)}},
		"gpu":     {{On: []string{integration.GPU}}, {Off: []string{integration.GPU}}},
		"shm":     {{ShmSize: ptr("1g")}, {ShmSize: ptr("")}},
	} {
		there, err := c[0].of(m, "cell", base)
		if err != nil || there.Hash() == base.Hash() {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if back, err := c[1].of(m, "cell", there); err != nil || back.Hash() != base.Hash() {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := (&Change{Home: ptr("/srv/home")}).of(m, "cell", base); !errors.Is(err, fail.Usage) {
		t.Errorf("%v", err)
	}
}

// TestE13_NamesOfContainersApart: no toolbox has the name of a container that is worked
// on, and one whose toolbox is away for a moment is shown by the toolbox's name.
func TestE13_NamesOfContainersApart(t *testing.T) {
	for name, isApart := range map[string]bool{
		"web.tbx-new-0123abcd": true, "web.tbx-old-ffffffff": true, "web.tbx-snapshot-00000000": true, "a.b.tbx-old-0123abcd": true,
		"web": false, "web.tbx-new": false, "web.tbx-new-0123abc": false, "web.tbx-new-0123abcdx": false, "web.tbx-NEW-0123abcd": false, "tbx-new-0123abcd": false,
	} {
		of, _, ok := apartOf(name)
		if ok != isApart || ok && !strings.HasPrefix(name, string(of)+".tbx-") {
			t.Errorf("%s: %s %v", name, of, ok)
		}
		if _, err := ParseName(name); isApart != errors.Is(err, fail.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if name := apart("web", apartOld, apartHex()); !apartName.MatchString(name) {
		t.Errorf("%s", name)
	}
	all := []Container{{Name: "web.tbx-old-0123abcd", ID: "a"}, {Name: "web.tbx-new-0123abcd", ID: "b"}, {Name: "x.tbx-old-0123abcd"}, {Name: "x", ID: "c"}}
	got := shown(all)
	if len(got) != 2 || got[0].ID != "c" || got[1].Name != "web" || got[1].ID != "a" || all[0].Name != "web.tbx-old-0123abcd" {
		t.Errorf("%+v", got)
	}
}
