package transactional_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// The lists that tukit 6.1.3 printed, one after the other, on a writable root.
const (
	clean   = "0\tno\tno\t\tcurrent\t\n1\tyes\tyes\t2026-11-30 10:00:00\tfirst root filesystem\t\n"
	updated = "0\tno\tno\t\tcurrent\t\n1\tno\tyes\t2026-11-30 10:00:00\tfirst root filesystem\t\n2\tyes\tno\t2026-11-30 18:58:33\tSnapshot Update of #1\t\n"
	back    = "0\tno\tno\t\tcurrent\t\n1\tno\tyes\t2026-11-30 10:00:00\tfirst root filesystem\t\n2\tno\tno\t2026-11-30 18:58:33\tSnapshot Update of #1\t\n" +
		"3\tno\tno\t2026-11-30 18:58:34\trollback backup of #2\t\n4\tyes\tno\t2026-11-30 18:58:34\twritable copy of #1\t\n"
	booted2 = "0\tno\tno\t\tcurrent\t\n1\tno\tno\t2026-11-30 10:00:00\tfirst root filesystem\t\n2\tyes\tyes\t2026-11-30 18:58:33\tSnapshot Update of #1\t\n" +
		"5\tno\tno\t2026-11-30 18:58:35\tSnapshot Update of #2\t\n"
	wentBack = "0\tno\tno\t\tcurrent\t\n1\tno\tno\t2026-11-30 10:00:00\tfirst root filesystem\t\n2\tno\tyes\t2026-11-30 18:58:33\tSnapshot Update of #1\t\n" +
		"5\tno\tno\t2026-11-30 18:58:35\tSnapshot Update of #2\t\n6\tno\tno\t2026-11-30 18:58:36\trollback backup of #2\t\n7\tyes\tno\t2026-11-30 18:58:36\twritable copy of #1\t\n"
)

// TestH32_RollbackGoesBack: to the snapshot that the running one was made from, never
// forward to one that never ran; a copy of it, which a writable root gets, is that one;
// and twice is once.
func TestH32_RollbackGoesBack(t *testing.T) {
	tool := osupdatetest.NewTool(t, "booted2", map[string][]osupdatetest.Call{
		"tukit":                {{In: "booted2", Args: list, Stdout: booted2}, {In: "wentBack", Args: list, Stdout: wentBack}},
		"transactional-update": {{In: "booted2", Args: "rollback 1", Stdout: "Rollback to snapshot 1...\nPlease reboot to finish rollback!\n", To: "wentBack"}},
	})
	h := open(t, config(t, tool))
	res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Rollback}, false)
	if err != nil || res.Unchanged != "" || res.After.ID != "snapshot-7" || res.After.Checksum != "snapshot-1" {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Rollback}, false); err != nil || res.Unchanged == "" {
		t.Errorf("twice is not once: %+v, %v", res, err)
	}
	st, err := h.Status(t.Context())
	if err != nil || st.State.Boot.State != osupdate.BootRollback || st.State.Deployments[0].Index != 7 {
		t.Errorf("%+v, %v", st.State, err)
	}
}

// TestH32_NeverForward: what waits and never ran is no way back.
func TestH32_NeverForward(t *testing.T) {
	for text, want := range map[string]string{clean: "", updated: "", back: "snapshot-4"} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"tukit": {{Args: list, Stdout: text}}, "transactional-update": nil})
		h := open(t, config(t, tool))
		st, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d, err := st.State.Back("")
		if want == "" && (!errors.Is(err, osupdate.ErrNoRollback) || len(fail.Hints(err)) == 0) || want != "" && (err != nil || d.ID != want) {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
}

// TestH32_TukitsWords: options before the command, and its failures.
func TestH32_TukitsWords(t *testing.T) {
	for stderr, c := range map[string]struct {
		kind *osupdate.Problem
		says string
	}{
		"Snapshot '99' not found.\nERROR: `snapper --no-dbus rollback 99` returned with error code 1.\n":               {osupdate.ErrNotFound, "snapshot 99"},
		"ERROR: `snapper --no-dbus modify --default 2` returned with error code 1.\n":                                  {osupdate.ErrBackend, "snapper --no-dbus modify --default 2"},
		"No provider of 'nosuch' found.\nERROR: zypper install on /.snapshots/4/snapshot failed with exit code 104!\n": {osupdate.ErrNotFound, "nosuch"},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{
			"tukit": {{Args: list, Stdout: clean}}, "transactional-update": {{Args: "--non-interactive dup", Stderr: stderr, Code: 1}},
		})
		_, err := open(t, config(t, tool)).Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: %v", stderr, err)
		}
	}
}
