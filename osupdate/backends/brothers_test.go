package backends_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// TestH88_CheckTellsARefusal: where an upgrade would be refused, check says so with the
// same words and the same way out, and nowhere else.
func TestH88_CheckTellsARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		kind    osupdate.Kind
		prepare func(m *machine)
		want    *osupdate.Problem // nil: it is carried out
	}{
		"an agent runs":                     {osupdate.RPMOSTree, agent, osupdate.ErrManaged},
		"a switch is staged, plain ostree":  {osupdate.OSTree, switched, osupdate.ErrUnsafe},
		"a switch is staged, rpm-ostree":    {osupdate.RPMOSTree, switched, nil},
		"locked by another, plain ostree":   {osupdate.OSTree, locked, osupdate.ErrUnsafe},
		"locked by another, rpm-ostree":     {osupdate.RPMOSTree, locked, nil},
		"kernel arguments wait":             {osupdate.OSTree, kargsWait, osupdate.ErrUnsafe},
		"kernel arguments wait, rpm-ostree": {osupdate.RPMOSTree, kargsWait, nil},
		"nothing":                           {osupdate.Bootc, func(*machine) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, c.kind)
			c.prepare(m)
			checked, err := m.open().Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.do(osupdate.Request{Verb: osupdate.Upgrade})
			if osupdate.ProblemOf(err) != c.want {
				t.Errorf("the upgrade: %v", err)
			}
			if wrong := contradicts(checked, err); wrong != "" {
				t.Error(wrong)
			}
			if r := checked.Refused; r != nil && len(r.Hints) == 0 {
				t.Errorf("no next step: %+v", r)
			}
		})
	}
}

func agent(m *machine) { m.other(func(h *fakehost.Host) { h.Agent = "zincati.service" }) }

func switched(m *machine) {
	m.must(osupdate.Request{Verb: osupdate.Switch, Target: elsewhere(m.kind)})
}

func kargsWait(m *machine) { m.must(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}) }

// locked has another program download the newest and lock it.
func locked(m *machine) {
	if m.kind == osupdate.RPMOSTree {
		m.call("rpm-ostree", "upgrade", "--lock-finalization")
		return
	}
	m.call("ostree", "admin", "upgrade", "--os=os", "--stage")
	m.other(func(h *fakehost.Host) { h.Deployments[0].Locked = true })
}

// TestH89_TheProvenOneStays: before the running system is marked as good, nothing
// overwrites or deletes the last one that is; going back to it is allowed.
func TestH89_TheProvenOneStays(t *testing.T) {
	hello := []string{"hello"}
	for updater, c := range map[string]struct{ refused, allowed []osupdate.Request }{
		"systemd-sysupdate": {refused: []osupdate.Request{
			{Verb: osupdate.Upgrade}, {Verb: osupdate.Upgrade, Target: "3"}, {Verb: osupdate.Upgrade, DownloadOnly: true}, {Verb: osupdate.Cleanup},
		}},
		"abroot": {refused: []osupdate.Request{
			{Verb: osupdate.Upgrade}, {Verb: osupdate.Install, Packages: hello}, {Verb: osupdate.Uninstall, Packages: hello}, {Verb: osupdate.Switch, Target: "ghcr.io/lab/other:1"},
		}, allowed: []osupdate.Request{{Verb: osupdate.Rollback}}},
	} {
		for word, kept := range map[string]bool{"indeterminate": true, "good": false} {
			for _, r := range append(c.refused, c.allowed...) {
				m := newSlots(t, updater, false)
				bless := filepath.Join(m.fake.Root(), "usr/bin/systemd-bless-boot")
				if err := os.WriteFile(bless, []byte("#!/bin/sh\necho "+word+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				_, err := m.open().Do(t.Context(), r, true)
				want := kept && slices.ContainsFunc(c.refused, func(o osupdate.Request) bool { return fmt.Sprint(o) == fmt.Sprint(r) })
				if errors.Is(err, osupdate.ErrUnsafe) != want || want && len(fail.Hints(err)) == 0 {
					t.Errorf("%s, %s, %s %v: %v", updater, word, r.Verb, r.Words(), err)
				}
			}
		}
	}
}

// TestH90_RestartThatWouldFail is refused: /etc was changed after the update was staged,
// or a soft reboot would not give the next system its kernel arguments.
func TestH90_RestartThatWouldFail(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		mine := m.conflict()
		for _, r := range []osupdate.Request{{Verb: osupdate.Reboot}, {Verb: osupdate.Reboot, Soft: true}} {
			if _, err := m.do(r); !errors.Is(err, osupdate.ErrEtcMerge) || !strings.Contains(err.Error(), "app.conf") || len(fail.Hints(err)) == 0 || len(m.fake.Asked) > 0 {
				t.Errorf("%s: %v, systemctl %q", kind, err, m.fake.Asked)
			}
		}
		if err := os.Remove(mine); err != nil {
			t.Fatal(err)
		}
		m.must(osupdate.Request{Verb: osupdate.Reboot})
		if !slices.Equal(m.fake.Asked, []string{"reboot --check-inhibitors=yes"}) {
			t.Errorf("%s: systemctl %q", kind, m.fake.Asked)
		}
	}
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree} {
		m := newMachine(t, kind)
		kargsWait(m)
		if _, err := m.do(osupdate.Request{Verb: osupdate.Reboot, Soft: true}); !errors.Is(err, osupdate.ErrUnsupported) || !strings.Contains(err.Error(), "kernel arguments") {
			t.Errorf("%s: a soft reboot keeps the kernel: %v", kind, err)
		}
		m.must(osupdate.Request{Verb: osupdate.Reboot})
	}
}

// TestH90_NobodyWritesIt: the unit that writes what is staged at the shutdown does not run.
func TestH90_NobodyWritesIt(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		for _, state := range []string{"failed", "inactive"} {
			m := newMachine(t, kind)
			m.other(func(h *fakehost.Host) { h.Finalizer = state })
			m.must(osupdate.Request{Verb: osupdate.Reboot}) // nothing is staged
			m.must(osupdate.Request{Verb: osupdate.Upgrade})
			_, err := m.do(osupdate.Request{Verb: osupdate.Reboot})
			if !errors.Is(err, osupdate.ErrFinalize) || !strings.Contains(strings.Join(fail.Hints(err), " "), "finalize-staged.service") || len(m.fake.Asked) != 1 {
				t.Errorf("%s, %s: %v, systemctl %q", kind, state, err, m.fake.Asked)
			}
			findings, err := m.open().Doctor(t.Context(), nil)
			if err != nil || !slices.ContainsFunc(findings, func(f osupdate.Finding) bool { return f.Name == "shutdown" && f.Status == "error" && f.Hint != "" }) {
				t.Errorf("%s, %s: %+v, %v", kind, state, findings, err)
			}
			m.must(osupdate.Request{Verb: osupdate.Cancel})
			m.must(osupdate.Request{Verb: osupdate.Reboot})
		}
	}
}

// TestH90_RootIsNotFound: kernel arguments by which the root is found, and those that name
// the system that boots.
func TestH90_RootIsNotFound(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree} {
		m := newMachine(t, kind)
		for _, r := range []osupdate.Request{{Verb: osupdate.Kargs, Delete: []string{"root=UUID=1"}}, {Verb: osupdate.Kargs, Append: []string{"rd.luks.name=x=y"}}} {
			res, err := m.open().Do(t.Context(), r, true)
			if err != nil || !strings.Contains(strings.Join(res.Plan.Warnings, " "), "boot menu") {
				t.Errorf("%s: %v: %+v, %v", kind, r.Words(), res, err)
			}
		}
		if res := m.must(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"quiet"}}); len(res.Warnings) > 0 {
			t.Errorf("%s: %q", kind, res.Warnings)
		}
		for _, k := range []string{"ostree=/ostree/boot.1/os/x/0", "composefs=abc", "BOOT_IMAGE=x", "initrd=/x"} {
			for _, r := range []osupdate.Request{{Verb: osupdate.Kargs, Append: []string{k}}, {Verb: osupdate.Kargs, Delete: []string{k}}} {
				if _, err := m.do(r); !errors.Is(err, fail.Usage) || len(fail.Hints(err)) == 0 {
					t.Errorf("%s: %v: %v", kind, r.Words(), err)
				}
			}
		}
	}
}

// conflict makes a file of /etc that was changed here a directory in what is staged, and
// returns it.
func (m *machine) conflict() string {
	m.t.Helper()
	root := m.fake.Root()
	of := func(d *fakehost.Deployment, name string) string {
		return filepath.Join(root, "ostree/deploy", d.Root, "deploy", fmt.Sprintf("%s.%d", d.Checksum(), d.Serial), "usr/etc", name)
	}
	mine := filepath.Join(root, "etc/app.conf")
	for path, text := range map[string]string{of(m.fake.Running(), "app.conf"): "default\n", of(&m.fake.Deployments[0], "app.conf/part"): "x\n", mine: "mine\n"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	return mine
}

// TestH91_LockedByAnother: whoever locked it and with whichever updater, what is locked
// does not boot next in status, check and JSON, is lost by a reboot, and goes with cancel.
func TestH91_LockedByAnother(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		m := newMachine(t, kind)
		if kind == osupdate.OSTree || kind == osupdate.RPMOSTree {
			locked(m)
		} else {
			m.call("bootc", "upgrade", "--download-only")
		}
		s := m.status().State
		if s.Boot.State != osupdate.BootLocked || s.Next() == nil || !s.Next().Booted || s.Downloaded() == nil || s.Downloaded().Next || s.Reboot != "" {
			t.Errorf("%s: %+v, %+v", kind, s.Boot, s.Downloaded())
		}
		if c, err := m.open().Check(t.Context()); err != nil || c.Staged != "" || c.Downloaded == "" {
			t.Errorf("%s: %+v, %v", kind, c, err)
		}
		res, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Reboot}, true)
		if err != nil || !strings.Contains(strings.Join(res.Plan.Warnings, "; "), "is lost") {
			t.Errorf("%s: reboot: %+v, %v", kind, res, err)
		}
		if kind == osupdate.OSTree || kind == osupdate.Bootc { // both would lose it without a word
			if _, err := m.do(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}); !known(err) {
				t.Errorf("%s: kargs: %v", kind, err)
			}
		}
		m.must(osupdate.Request{Verb: osupdate.Cancel})
		if s := m.status().State; s.Downloaded() != nil || len(s.Deployments) != 2 {
			t.Errorf("%s: after cancel: %+v", kind, s.Deployments)
		}
	}
}

// TestH92_NamesOfSystems that are none: each verb that takes one refuses it, with a
// next step, and changes nothing.
func TestH92_NamesOfSystems(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		m := newMachine(t, kind)
		before := m.fake.Snapshot(t)
		for _, verb := range []osupdate.Verb{osupdate.Rollback, osupdate.Pin, osupdate.Unpin} {
			for _, name := range []string{
				"9", "-1", "0x1", " 1", "1 ", "٣", "1e0", "99999999999999999999", "--retain", "../0", "os-", "next ", "Booted", "\x1b[2J", strings.Repeat("a", 4096), "0;reboot", "$(reboot)",
			} {
				if _, err := m.do(osupdate.Request{Verb: verb, Target: name}); err == nil || !known(err) && !errors.Is(err, fail.Usage) {
					t.Errorf("%s: %s %q: %v", kind, verb, name, err)
				}
			}
		}
		for _, pair := range [][2]string{{"9", ""}, {"", "9"}, {"-1", "0"}} {
			if _, err := m.open().Diff(t.Context(), pair[0], pair[1]); !known(err) {
				t.Errorf("%s: diff %q: %v", kind, pair, err)
			}
		}
		if after := m.fake.Snapshot(t); after != before {
			t.Errorf("%s: something was changed:\n%s\nwas\n%s", kind, after, before)
		}
	}
}

// TestH93_NothingToCleanUp: parts that are not there, and a way back that is pinned.
func TestH93_NothingToCleanUp(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	pending, rollback := osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"pending"}}, osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"rollback"}}
	if res := m.must(pending); res.Unchanged == "" {
		t.Errorf("nothing waits: %+v", res)
	}
	m.must(osupdate.Request{Verb: osupdate.Pin, Target: "1"})
	if res := m.must(rollback); res.Unchanged == "" || len(m.fake.Deployments) != 2 {
		t.Errorf("the way back is pinned: %+v", res)
	}
	m.must(osupdate.Request{Verb: osupdate.Upgrade})
	if res := m.must(pending); res.Unchanged != "" || len(m.fake.Deployments) != 2 {
		t.Errorf("an update waited: %+v", res)
	}
}

// TestH94_TheDaemonCanBeStopped: whatever tbx has rpm-ostree's daemon do, beside bootc
// too, is stopped when tbx is ended.
func TestH94_TheDaemonCanBeStopped(t *testing.T) {
	image := newImageHost(t)
	for _, c := range []struct {
		m *machine
		r osupdate.Request
	}{
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.Install, Packages: []string{"hello"}}},
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.Switch, Target: "lab:debian/forky/x86_64/lab"}},
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}},
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.OverrideReplace, Packages: []string{"hello"}, From: "updates"}},
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}},
		{newMachine(t, osupdate.RPMOSTree), osupdate.Request{Verb: osupdate.Initramfs, Target: "enable"}},
		{image, osupdate.Request{Verb: osupdate.Kargs, Append: []string{"a=1"}}},
	} {
		res, err := c.m.open().Do(t.Context(), c.r, true)
		if err != nil {
			t.Errorf("%s: %v", c.r.Verb, err)
			continue
		}
		for _, step := range res.Plan.Steps {
			if strings.HasSuffix(step.Argv[0], "/rpm-ostree") && len(step.Stop) == 0 {
				t.Errorf("%s of %s: nothing stops %q", c.r.Verb, c.m.kind, step.Argv)
			}
		}
	}
}

// TestH98_KargsOfTheNextBoot are told beside those that run, for whatever is staged and
// by whoever.
func TestH98_KargsOfTheNextBoot(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Upgrade})
		m.other(func(h *fakehost.Host) { h.Deployments[0].Kargs = append(h.Deployments[0].Kargs, `b="c d"`) })
		next, running, err := m.open().Kargs(t.Context())
		if err != nil || !slices.Contains(next, `b="c d"`) || slices.Contains(running, `b="c d"`) || !slices.Contains(running, "rw") {
			t.Errorf("%s: next %q, running %q, %v", kind, next, running, err)
		}
		m.boot(0)
		next, running, err = m.open().Kargs(t.Context())
		if err != nil || !slices.Contains(next, `b="c d"`) || !slices.Contains(running, `b="c d"`) {
			t.Errorf("%s, booted: next %q, running %q, %v", kind, next, running, err)
		}
	}
}

// TestH99_NotThere: a ref, an image, a version or a package that is nowhere is not found,
// with a next step, and what boots next stays.
func TestH99_NotThere(t *testing.T) {
	for _, c := range []struct {
		kind osupdate.Kind
		r    osupdate.Request
	}{
		{osupdate.OSTree, osupdate.Request{Verb: osupdate.Switch, Target: "lab:nosuch"}},
		{osupdate.OSTree, osupdate.Request{Verb: osupdate.Switch, Target: "nosuch:a/b"}},
		{osupdate.RPMOSTree, osupdate.Request{Verb: osupdate.Switch, Target: "nosuch:a/b"}},
		{osupdate.RPMOSTree, osupdate.Request{Verb: osupdate.Switch, Target: "lab:nosuch"}},
		{osupdate.RPMOSTree, osupdate.Request{Verb: osupdate.Install, Packages: []string{"nosuch"}}},
		{osupdate.RPMOSTree, osupdate.Request{Verb: osupdate.Install, Packages: []string{"/nosuch/x.rpm"}}},
		{osupdate.RPMOSTree, osupdate.Request{Verb: osupdate.Switch, Target: "ostree-image-signed:docker://quay.io/lab/nosuch:1"}},
		{osupdate.Bootc, osupdate.Request{Verb: osupdate.Switch, Target: "quay.io/lab/nosuch:1"}},
		{composefs, osupdate.Request{Verb: osupdate.Switch, Target: "quay.io/lab/nosuch:1"}},
		{osupdate.OSTree, osupdate.Request{Verb: osupdate.Upgrade, From: "/nosuch"}},
	} {
		m := newMachine(t, c.kind)
		before := m.fake.Next().ID()
		if _, err := m.do(c.r); !errors.Is(err, osupdate.ErrNotFound) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %s %v: %v, hints %q", c.kind, c.r.Verb, c.r.Words(), err, fail.Hints(err))
		}
		if m.fake.Next().ID() != before {
			t.Errorf("%s: %s %v: %s boots next", c.kind, c.r.Verb, c.r.Words(), m.fake.Next().ID())
		}
	}
}
