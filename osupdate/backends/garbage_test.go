package backends_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// answers are JSON, and no state of a host.
func answers() []string {
	sum := strings.Repeat("a", 64)
	return []string{
		`null`, `true`, `7`, `"x"`, `[]`, `{}`, `[[[[]]]]`, `{"deployments":null}`, `{"deployments":{}}`, `{"deployments":[null]}`, `{"deployments":[{}]}`,
		`{"deployments":[7,"x"]}`, `{"deployments":[{"id":7,"checksum":7}]}`, strings.Repeat(`{"deployments":[`, 20000),
		`{"deployments":[{"id":"a","checksum":"` + sum + `"},{"id":"a","checksum":"` + sum + `"}]}`,
		`{"deployments":[{"id":"a","checksum":"x","booted":true},{"id":"b","checksum":"y","booted":true}]}`,
		`{"deployments":[{"id":"a","checksum":"x","booted":true,"version":"\u001b[2J\u202e` + strings.Repeat("9", 1<<16) + `","timestamp":-9223372036854775808}]}`,
		`{"deployments":[{"id":"a","checksum":"x","booted":true,"timestamp":9223372036854775807}],"transaction":["","",""],"cached-update":{"rpm-diff":[]}}`,
		`{"deployments":[{"checksum":"` + sum + `","stateroot":"../../etc","booted":true,"serial":-1}]}`,
		`{"deployments":[{"checksum":"` + sum + `","stateroot":"os","booted":true,"index":-7}],"rollback":7}`,
		`{"status":null}`, `{"status":{}}`, `{"status":{"booted":null,"staged":null}}`, `{"status":{"booted":{}}}`, `{"status":{"booted":{"image":null,"ostree":{"checksum":""}}}}`,
		`{"status":{"booted":{"ostree":{"checksum":"` + sum + `","deploySerial":-1,"stateroot":"os"}},"rollbackQueued":true,"otherDeployments":[{}]}}`,
		`{"status":{"rollback":{"ostree":{"checksum":"` + sum + `","deploySerial":0,"stateroot":"os"}},"rollbackQueued":true}}`,
		`{"present":"","future":"","abimage":{}}`, `{"present":"x","future":"x","abimage":{"image":"x"}}`, `{"present":"a","future":"b","kargs":7,"abimage":{"image":"x"}}`,
		`{"current":null,"all":null}`, `{"current":"1","all":[]}`, `{"current":"1","all":["1","1"]}`, `{"all":["","\n"]}`, `{"current+x":"1","all":["2","1"]}`,
		`{"hasUpdate":null}`, `{"available":7}`, "0\tyes\tyes\n", "1\tyes\tyes\t\t\t\n1\tyes\tyes\t\t\t\n", "x\ty\tz\n",
	}
}

// TestH95_AnswersThatAreNoState: JSON that is none of the updater's is an error with what
// it said, or the state of a host that can be, and nothing is done upon it.
func TestH95_AnswersThatAreNoState(t *testing.T) {
	for kind, program := range map[osupdate.Kind]string{osupdate.OSTree: "ostree", osupdate.RPMOSTree: "rpm-ostree", osupdate.Bootc: "bootc", composefs: "bootc"} {
		m := newMachine(t, kind)
		answering(t, filepath.Join(m.fake.Programs(), program), func(answer string) { unmoved(t, m.open(), answer, func() string { return m.fake.Snapshot(t) }) })
	}
	for updater, program := range map[string]string{"abroot": "abroot", "transactional-update": "tukit", "systemd-sysupdate": "systemd-sysupdate"} {
		m := newSlots(t, updater, false)
		answering(t, filepath.Join(m.fake.Root(), "usr/bin", program), func(answer string) { unmoved(t, m.open(), answer, func() string { return m.fake.Snapshot(t) }) })
	}
}

// answering puts a program that gives each answer in the place of another one.
func answering(t *testing.T, path string, look func(answer string)) {
	t.Helper()
	text := filepath.Join(t.TempDir(), "answer")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec cat "+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, answer := range answers() {
		if err := os.WriteFile(text, []byte(answer+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		look(answer)
	}
}

func unmoved(t *testing.T, h *osupdate.Host, answer string, snapshot func() string) {
	t.Helper()
	kind, before := h.Backend().Kind(), snapshot()
	st, err := h.Status(t.Context())
	switch {
	case err == nil && st.State.Sound() != nil:
		t.Errorf("%s, %.100q: no host can be %+v", kind, answer, st.State)
	case err != nil && (osupdate.ProblemOf(err) == nil || len(fail.Hints(err)) == 0):
		t.Errorf("%s, %.100q: %v", kind, answer, err)
	}
	_, _ = h.Check(t.Context()) // must return
	for _, r := range []osupdate.Request{{Verb: osupdate.Rollback}, {Verb: osupdate.Upgrade}, {Verb: osupdate.Cancel}} {
		if res, err := h.Do(t.Context(), r, false); err == nil && res.Unchanged == "" {
			t.Errorf("%s, %.100q: %s: done: %+v", kind, answer, r.Verb, res.After)
		}
	}
	if after := snapshot(); after != before {
		t.Errorf("%s, %.100q: something was changed", kind, answer)
	}
}
