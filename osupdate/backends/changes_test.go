package backends_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

// TestH27_KargsBesideAStagedSystem: they changed, and are read again.
func TestH27_KargsBesideAStagedSystem(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	for _, r := range []osupdate.Request{{Verb: osupdate.Kargs, Append: []string{"a=1"}}, {Verb: osupdate.Kargs, Delete: []string{"a=1"}}} {
		if res := m.must(r); res.Unchanged != "" {
			t.Errorf("%v: unchanged: %s", r.Words(), res.Unchanged)
		}
	}
	if res := m.must(osupdate.Request{Verb: osupdate.Kargs, Delete: []string{"a=1"}}); res.Unchanged == "" {
		t.Error("what is so already was changed")
	}
	m.must(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"b=2"}})
	next, running, err := m.open().Kargs(t.Context())
	if err != nil || !slices.Contains(next, "b=2") || slices.Contains(running, "b=2") {
		t.Errorf("next %q, running %q, %v", next, running, err)
	}
}

// TestH65_KargsOfBootc beside a staged system: bootc's JSON has no kernel arguments.
func TestH65_KargsOfBootc(t *testing.T) {
	m := newImageHost(t)
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	for _, r := range []osupdate.Request{{Verb: osupdate.Kargs, Append: []string{"a=1", `b="c d"`}}, {Verb: osupdate.Kargs, Delete: []string{"a=1"}}} {
		if res := m.must(r); res.Unchanged != "" {
			t.Errorf("%v: unchanged: %s", r.Words(), res.Unchanged)
		}
		if res := m.must(r); res.Unchanged == "" {
			t.Errorf("%v: twice is not once", r.Words())
		}
	}
	next, running, err := m.open().Kargs(t.Context())
	if err != nil || !slices.Contains(next, `b="c d"`) || slices.Contains(next, "a=1") || slices.Contains(running, `b="c d"`) {
		t.Errorf("next %q, running %q, %v", next, running, err)
	}
	if entries, err := m.open().History(); err != nil || entries[len(entries)-1].Outcome != "unchanged" && entries[len(entries)-1].Outcome != "done" {
		t.Errorf("%+v, %v", entries, err)
	}
	m.boot(0)
	if s := m.status().State; s.Booted().Version != "3" || !slices.Contains(s.Booted().Kargs, `b="c d"`) {
		t.Errorf("%+v", s.Booted())
	}
}

// TestH76_MetadataIsDeleted: it is not known whether there was any, so that it is not
// said that there was nothing to do.
func TestH76_MetadataIsDeleted(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	for range 2 {
		if res := m.must(osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"cache"}}); res.Unchanged != "" {
			t.Errorf("unchanged: %s", res.Unchanged)
		}
	}
}

// TestH77_OverlayTwice is once, for every updater that has it.
func TestH77_OverlayTwice(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		m := newMachine(t, kind)
		if res := m.must(osupdate.Request{Verb: osupdate.Overlay}); res.Unchanged != "" {
			t.Errorf("%s: unchanged: %s", kind, res.Unchanged)
		}
		if res := m.must(osupdate.Request{Verb: osupdate.Overlay}); res.Unchanged == "" {
			t.Errorf("%s: twice is not once", kind)
		}
	}
}

// TestH79_NoRoomForAKernel is said by doctor and before an update is staged, by the size
// of the kernels that are there.
func TestH79_NoRoomForAKernel(t *testing.T) {
	for name, c := range map[string]struct {
		kernel int64
		tight  bool
	}{"a small one": {1 << 20, false}, "one that would not fit": {1 << 50, true}} {
		m := newMachine(t, osupdate.RPMOSTree)
		dir := filepath.Join(m.fake.Root(), "boot/ostree/os-1")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(dir, "vmlinuz-1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(file.Truncate(min(c.kernel, 1<<43)), file.Close()); err != nil {
			t.Fatal(err)
		}
		res, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, true)
		if err != nil || strings.Contains(strings.Join(res.Plan.Warnings, " "), "would fail at the shutdown") != c.tight {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		findings, err := m.open().Doctor(t.Context(), nil)
		at := slices.IndexFunc(findings, func(f osupdate.Finding) bool { return f.Name == "space" && strings.Contains(f.Detail, "/boot has") })
		if err != nil || at < 0 || (findings[at].Status == "warning") != c.tight {
			t.Errorf("%s: %+v, %v", name, findings, err)
		}
	}
}
