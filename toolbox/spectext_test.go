package toolbox

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

// TestE12_SettingsAsText: a text that cannot be meant is refused with its line, and what
// may not be changed is named.
func TestE12_SettingsAsText(t *testing.T) {
	m := &Manager{Host: sharingHost(t)}
	base := testSpec()
	text := SpecText("web", base)
	with := func(line string) string { return text + line + "\n" }
	if s, err := m.FromText("web", base, "f", with(`env = ["A=1"]`))(base); err != nil || len(s.Env) != 1 || s.ID != base.ID || s.ImageID != base.ImageID {
		t.Errorf("%+v %v", s, err)
	}
	last := strings.Count(text, "\n") + 1
	for _, c := range []struct{ name, text, says, hint string }{
		{"no TOML", with("env = ["), "f:", "correct that line"},
		{"unknown key", with(`hostnam = "x"`), `there is no key "hostnam" in a specification`, "did you mean hostname?"},
		{"unknown key, like none", with("zzz = 1"), `no key "zzz"`, "there are: version"},
		{"wrong type", with("env = 1"), "incompatible types", "correct that line"},
		{"a table", with("[env]\nA = 1"), "f:", "correct that line"},
		{"twice", with(`image = "y"`), "f:", "correct that line"},
		{"another id", strings.Replace(text, base.ID, strings.Repeat("0", 32), 1), "id cannot be changed by an edit", "write there again: id = "},
		{"no id", strings.Replace(text, "id = ", "# id = ", 1), "id cannot be changed", "write there again"},
		{"another image", strings.Replace(text, base.Image, "localhost/other:1", 1), "image cannot be changed", "write there again: image = "},
		{"isolated", with("isolated = true"), "cannot change between", "tbx create --isolated"},
		{"a bad volume", with(`volumes = ["nowhere"]`), "two or three parts", "SOURCE:TARGET"},
		{"a bad integration", with(`without = ["x12"]`), `no integration "x12"`, "there are:"},
		{"empty", "", "version cannot be changed", "version = 1"},
		{"binary", "\x00\x01\xff", "f:", "correct that line"},
		{"huge", with("env = [" + strings.Repeat(`"A=1",`, 1<<16) + "}"), "f:", "correct that line"},
	} {
		_, err := m.FromText("web", base, "f", c.text)(base)
		if !errors.Is(err, fail.Usage) || !strings.Contains(err.Error(), c.says) || !strings.Contains(strings.Join(fail.Hints(err), "\n"), c.hint) {
			t.Errorf("%s: %v %q", c.name, err, fail.Hints(err))
		}
	}
	if _, err := parseSpec("f", with("hostnam = 1")); err == nil || !strings.HasPrefix(err.Error(), "f:"+itoa(last)+": ") {
		t.Errorf("the line is not named: %v", err)
	}
	other := *base
	other.Hostname = "changed"
	if _, err := m.FromText("web", base, "f", text)(&other); err == nil || !strings.Contains(err.Error(), "edited by another tbx meanwhile") {
		t.Errorf("%v", err)
	}
}
