package bootc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/bootc"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// of returns the recorded call of a file.
func of(t *testing.T, file, command string) osupdatetest.Recorded {
	t.Helper()
	for _, r := range osupdatetest.ReadRecorded(t, "testdata/"+file+".txt") {
		if r.Command == command {
			return r
		}
	}
	t.Fatalf("%s has no %q", file, command)
	return osupdatetest.Recorded{}
}

// TestH35_RecordedStates: each status that bootc 1.16.9 gave, on both storages.
func TestH35_RecordedStates(t *testing.T) {
	want := map[string]osupdate.BootState{
		"real/01-status-fresh": osupdate.BootRunning, "real/04-staged-download-only": osupdate.BootLocked, "real/05-staged": osupdate.BootStaged,
		"real/07-after-upgrade": osupdate.BootRunning, "real/08-rollback-queued": osupdate.BootRollback, "real/09-switch-staged": osupdate.BootStaged,
		"real-composefs/01-status-fresh": osupdate.BootRunning, "real-composefs/04-staged-download-only": osupdate.BootLocked,
		"real-composefs/07-after-upgrade": osupdate.BootRunning, "real-composefs/08-rollback-queued": osupdate.BootRollback, "real-composefs/09-switch-staged": osupdate.BootStaged,
	}
	for file, state := range want {
		r := of(t, file, "bootc status --json")
		s, err := bootc.Parse([]byte(r.Stdout))
		if err != nil || s.Sound() != nil || s.Boot.State != state || s.Booted() == nil {
			t.Errorf("%s: %+v, %v", file, s, err)
			continue
		}
		if im := s.Booted().Image; im == nil || im.Signature != "insecure" || s.Booted().Time == nil {
			t.Errorf("%s: image %+v", file, im)
		}
		if strings.Contains(file, "switch") != strings.Contains(s.Tracked, "/other:") {
			t.Errorf("%s: follows %s", file, s.Tracked)
		}
	}
}

// TestH35_RecordedErrors: each text has its kind and a next step.
func TestH35_RecordedErrors(t *testing.T) {
	want := []struct {
		words string
		kind  *osupdate.Problem
	}{
		{"manifest unknown", osupdate.ErrNotFound}, {"pinging container registry", osupdate.ErrNetwork}, {"refusing usage", osupdate.ErrSignature},
		{"must be executed as the root user", osupdate.ErrPermission}, {"No staged deployment found", osupdate.ErrNotFound}, {"No rollback available", osupdate.ErrNoRollback},
		{"does not resolve to an image ID", osupdate.ErrNotFound}, {"Merge conflicts found in etc", osupdate.ErrEtcMerge},
	}
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": nil})
	b, err := bootc.New(&osupdate.Tools{Dirs: []string{tool.Dir}}, bootc.Options{Root: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	files, err := filepath.Glob("testdata/real*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, r := range osupdatetest.ReadRecorded(t, file) {
			for _, w := range want {
				if r.Code == 0 || !strings.Contains(r.Stderr, w.words) {
					continue
				}
				seen[w.words] = true
				if err := b.Explain(&osupdate.ToolError{Argv: []string{"/usr/bin/bootc"}, Code: r.Code, Stderr: r.Stderr}); !errors.Is(err, w.kind) || len(fail.Hints(err)) == 0 {
					t.Errorf("%s, %q: %v", file, r.Command, err)
				}
			}
		}
	}
	if len(seen) != len(want) {
		t.Errorf("not all were recorded: %v", seen)
	}
	err = b.Explain(&osupdate.ToolError{Code: 1, Stderr: of(t, "real-composefs/12-errors", "bootc upgrade").Stderr})
	if conflict := osupdatetest.ReadRecorded(t, "testdata/real-composefs/12-errors.txt"); err == nil || len(conflict) == 0 {
		t.Error("no recorded conflict")
	}
}

// TestH34_CheckStagesNothing: on composefs `upgrade --check` stages an image that was
// pulled before, so that only digests are compared; on ostree storage bootc's own words
// count, and its cache never.
func TestH34_CheckStagesNothing(t *testing.T) {
	fresh := of(t, "real-composefs/01-status-fresh", "bootc status --json").Stdout
	for digest, found := range map[string]bool{"sha256:481ab73035d8a430f2476ad336594f4b0a39b991d4d03cd9f85e3d4bc3d48d97": true, "": false} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: fresh}, {Args: "--version", Stdout: "bootc 1.16.9\n"}}})
		opt := bootc.Options{Root: true, Composefs: true, Registry: func(context.Context, string, string) (string, error) { return digest, nil }}
		if c, err := open(t, config(t, tool, opt)).Check(t.Context()); err != nil || (c.Update != nil) != found {
			t.Errorf("%q: %+v, %v", digest, c, err)
		}
	}
	for name, want := range map[string]string{"real/02-upgrade-check-none": "", "real/03-upgrade-check-available": "2"} {
		status, check := of(t, "real/03-upgrade-check-available", "bootc status --json"), of(t, name, "bootc upgrade --check")
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {
			{Args: statusArgs, Stdout: status.Stdout}, {Args: "upgrade --check", Stdout: check.Stdout}, {Args: "--version", Stdout: "bootc 1.16.9\n"},
		}})
		c, err := open(t, config(t, tool, bootc.Options{Root: true})).Check(t.Context())
		if err != nil || (c.Update == nil) != (want == "") || c.Update != nil && (c.Update.Version != want || c.Update.Time == nil) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "clean")}, {Args: "upgrade --check", Stdout: "something new\n"}}})
	if _, err := open(t, config(t, tool, bootc.Options{Root: true})).Check(t.Context()); !errors.Is(err, osupdate.ErrBadOutput) {
		t.Errorf("words that are not known: %v", err)
	}
}

// TestH2_RollbackQueuedIsNotBelieved of a unified kernel image up to 1.16.9: it is
// said after every good upgrade. The firmware's variables decide, else nobody can tell.
func TestH2_RollbackQueuedIsNotBelieved(t *testing.T) {
	doc := strings.ReplaceAll(of(t, "real-composefs/08-rollback-queued", "bootc status --json").Stdout, `"bootType":"Bls"`, `"bootType":"Uki"`)
	at := func(variables map[string]string) (*osupdate.Host, string) {
		root := t.TempDir()
		for name, value := range variables {
			data := []byte{7, 0, 0, 0}
			for _, c := range value + "\x00" {
				data = append(data, byte(c), 0)
			}
			path := filepath.Join(root, "sys/firmware/efi/efivars", name+"-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: doc}}})
		return open(t, config(t, tool, bootc.Options{Root: true, Composefs: true, System: root})), root
	}
	h, _ := at(nil)
	st, err := h.Status(t.Context())
	if err != nil || st.State.Boot.State != osupdate.BootUnknown || st.State.Next() != nil || st.State.Reboot != "" || !st.State.Deployments[0].Booted {
		t.Errorf("%+v, %v", st.State, err)
	}
	if _, err := osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Rollback}); !errors.Is(err, osupdate.ErrNoRollback) || len(fail.Hints(err)) == 0 {
		t.Errorf("rollback: %v", err)
	}
	id := "bootc_composefs-c5da4e360dea0db322323049bd5038d0f0bcf184af709c698ecbf95a541e5623433d4ab726b3ec888e83035a48a1376378a65b51c231fd67220ee62899d5309d.efi"
	h, _ = at(map[string]string{"LoaderEntryDefault": id, "LoaderEntrySelected": id})
	if st, err := h.Status(t.Context()); err != nil || st.State.Boot.State != osupdate.BootRunning || st.State.Boot.Source != "the firmware" {
		t.Errorf("%+v, %v", st.State.Boot, err)
	}
}

// TestH37_EtcDiffInColours: bootc colours its words into a pipe too.
func TestH37_EtcDiffInColours(t *testing.T) {
	r := of(t, "real-composefs/10-config-diff-edit", "bootc config-diff")
	for out, want := range map[string][]string{
		"\x1b[32mAdded\x1b[39m \"lab-added\"\n\x1b[36mModified\x1b[39m \"lab.conf\"\n\x1b[31mRemoved\x1b[39m \"gone\"\n": {"A lab-added", "D gone", "M lab.conf"},
		r.Stdout: {"A .pwd.lock", "A .updated", "A lab-added", "M lab.conf", "M machine-id"},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": {
			{Args: statusArgs, Stdout: of(t, "real-composefs/01-status-fresh", "bootc status --json").Stdout}, {Args: "config-diff", Stdout: out},
		}})
		got, err := open(t, config(t, tool, bootc.Options{Root: true, Composefs: true})).EtcDiff(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestH73_NoBootcHost: the words are those of 1.16.9 on another system and in a container.
func TestH73_NoBootcHost(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": nil})
	b, err := bootc.New(&osupdate.Tools{Dirs: []string{tool.Dir}}, bootc.Options{Root: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"error: Initializing storage: System not booted via bootc\n",
		"error: Initializing storage: Preparing for write: Detected container; this command requires a booted host system.\n",
	} {
		if err := b.Explain(&osupdate.ToolError{Argv: []string{"/usr/bin/bootc"}, Code: 1, Stderr: words}); !errors.Is(err, osupdate.ErrNotImage) || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: %v", words, err)
		}
	}
}
