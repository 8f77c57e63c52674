package backends_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

var named = regexp.MustCompile(`tbx host ([a-z][^;,()]*)`)

// proposed are the requests that a hint names completely; words that stand for others,
// as in VERSION, make none.
func proposed(hint string) []osupdate.Request {
	var out []osupdate.Request
	for _, m := range named.FindAllStringSubmatch(hint, -1) {
		words := strings.Fields(m[1])
		r := osupdate.Request{Verb: osupdate.Verb(words[0])}
		for i := 1; i < len(words); i++ {
			switch word := words[i]; {
			case word == "--pending" || word == "--rollback":
				r.Parts = append(r.Parts, strings.TrimPrefix(word, "--"))
			case word == "--allow-downgrade":
				r.AllowDowngrade = true
			case word == "--download-only":
				r.DownloadOnly = true
			case word == "--successor":
				r.Successor = true
			case word == "--reboot":
			case word == "--to" && i+1 < len(words):
				i++
				r.Target = words[i]
			default:
				r.Target = word
			}
		}
		if r.Target == strings.ToUpper(r.Target) && strings.ContainsAny(r.Target, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			continue
		}
		out = append(out, r)
	}
	return out
}

// followed says which refusal has hints that name verbs, none of which would be carried
// out; empty where one is, or where no verb is named.
func followed(t *testing.T, h *osupdate.Host, err error) string {
	t.Helper()
	refused := ""
	for _, hint := range fail.Hints(err) {
		for _, r := range proposed(hint) {
			if r.Verb == "status" || r.Verb == "doctor" || r.Verb == "check" {
				return ""
			}
			_, again := h.Do(t.Context(), r, true)
			if again == nil {
				return ""
			}
			refused += hint + ": " + again.Error() + "; "
		}
	}
	return refused
}

// known says whether an error is a refusal with a next step.
func known(err error) bool {
	for _, kind := range []error{osupdate.ErrUnsupported, osupdate.ErrNoRollback, osupdate.ErrUnsafe, osupdate.ErrNotFound, osupdate.ErrManaged, fail.Usage} {
		if errors.Is(err, kind) {
			return len(fail.Hints(err)) > 0
		}
	}
	return false
}

// contradicts says where a check and the upgrade after it do not agree on whether it is
// refused; empty where they do.
func contradicts(c *osupdate.Checked, err error) string {
	switch p := osupdate.ProblemOf(err); {
	case err == nil && c.Refused != nil:
		return fmt.Sprintf("check said that the upgrade would be refused, %+v, and it was carried out", c.Refused)
	case err != nil && (c.Refused == nil || p == nil || c.Refused.Problem != p.Name || c.Refused.Message != err.Error()):
		return fmt.Sprintf("the upgrade was refused, %v, and check said %+v", err, c.Refused)
	}
	return ""
}

// TestH42_HintsAreRead: what the walks hold to be followed is what a person would read.
func TestH42_HintsAreRead(t *testing.T) {
	for hint, want := range map[string]osupdate.Request{
		"or drop it: tbx host cancel": {Verb: osupdate.Cancel}, "tbx host rollback booted, or an index": {Verb: osupdate.Rollback, Target: "booted"},
		"tbx host upgrade --to 42.3": {Verb: osupdate.Upgrade, Target: "42.3"}, "reboot first: tbx host cleanup --pending --rollback": {Verb: osupdate.Cleanup, Parts: []string{"pending", "rollback"}},
	} {
		got := proposed(hint)
		if len(got) != 1 || got[0].Verb != want.Verb || got[0].Target != want.Target || len(got[0].Parts) != len(want.Parts) {
			t.Errorf("%s: %+v", hint, got)
		}
	}
	if got := proposed("see REMOTE: tbx host switch REMOTE:REF"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestH64_ATimerBringsItBack: whoever leaves a system is told of the timer that would
// bring it back before the restart.
func TestH64_ATimerBringsItBack(t *testing.T) {
	for kind, timer := range map[osupdate.Kind]string{osupdate.RPMOSTree: "rpm-ostreed-automatic.timer", osupdate.Bootc: "bootc-fetch-apply-updates.timer"} {
		for enabled, told := range map[bool]bool{true: true, false: false} {
			m := newMachine(t, kind)
			wants := filepath.Join(m.fake.Root(), "etc/systemd/system/timers.target.wants")
			if err := os.MkdirAll(wants, 0o755); err != nil {
				t.Fatal(err)
			}
			if enabled {
				if err := os.Symlink("/usr/lib/systemd/system/"+timer, filepath.Join(wants, timer)); err != nil {
					t.Fatal(err)
				}
			}
			m.must(osupdate.Request{Verb: osupdate.Upgrade})
			for _, r := range []osupdate.Request{{Verb: osupdate.Cancel}, {Verb: osupdate.Rollback}} {
				if res := m.must(r); strings.Contains(strings.Join(res.Warnings, " "), timer) != told {
					t.Errorf("%s, enabled %t: %s: %q", kind, enabled, r.Verb, res.Warnings)
				}
			}
		}
	}
}
