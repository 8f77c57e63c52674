package backends_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// TestH20_LayersComeAlong says so before a layered host moves to an image.
func TestH20_LayersComeAlong(t *testing.T) {
	m := newMachine(t, osupdate.RPMOSTree)
	m.other(func(h *fakehost.Host) { h.Newest[image] = "9" })
	m.must(osupdate.Request{Verb: osupdate.Install, Packages: []string{"hello"}})
	res, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Switch, Target: image}, true)
	if err != nil || !strings.Contains(strings.Join(res.Plan.Warnings, " "), "hello") {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Switch, Target: "quay.io/lab/host:1"}, true); !errors.Is(err, fail.Usage) || len(fail.Hints(err)) < 2 {
		t.Errorf("an image without a rule for its signature: %v", err)
	}
	if _, err := m.open().Do(t.Context(), osupdate.Request{Verb: osupdate.Switch, Target: "nosuch:a/b"}, true); !errors.Is(err, osupdate.ErrNotFound) {
		t.Errorf("a remote that is not there: %v", err)
	}
	m.must(osupdate.Request{Verb: osupdate.Switch, Target: image})
	m.boot(0)
	m.steps = append(m.steps, "on an image")
	res = m.must(osupdate.Request{Verb: osupdate.Switch, Target: ref})
	if res.After.Tracks != ref {
		t.Errorf("an image host does not go back to a ref: %+v", res.After)
	}
}

// TestH67_FileAndBack: an image from a file, and then the registry again: the hint has
// what was followed, and the rule for signatures is as before.
func TestH67_FileAndBack(t *testing.T) {
	const signed = "ostree-image-signed:docker://quay.io/lab/host:1"
	m := newMachine(t, osupdate.Bootc)
	m.other(func(h *fakehost.Host) {
		for i := range h.Deployments {
			h.Deployments[i].Follows = signed
		}
		h.Newest = map[string]string{signed: "3"}
	})
	m.must(osupdate.Request{Verb: osupdate.Switch, Target: "oci-archive:/media/usb/host.tar"})
	m.boot(0)
	_, err := m.open().Check(t.Context())
	if !errors.Is(err, osupdate.ErrUnsupported) || !slices.Contains(fail.Hints(err), "to follow again what it followed before: tbx host switch quay.io/lab/host:1") {
		t.Errorf("%v, hints %q", err, fail.Hints(err))
	}
	if res := m.must(osupdate.Request{Verb: osupdate.Switch, Target: "quay.io/lab/host:1"}); res.After.Signature != "policy" || m.fake.Next().Follows != signed {
		t.Errorf("%+v", res.After)
	}
	m.boot(0)
	m.look(false)
	for _, from := range []string{"ostree-unverified-image:oci-archive:/x.tar", "ostree-unverified-image:containers-storage:localhost/mine:1"} {
		if to, err := osupdate.ParseSource(from).To("quay.io/lab/host:1", nil); !errors.Is(err, fail.Usage) || len(fail.Hints(err)) < 2 {
			t.Errorf("rpm-ostree, from %s: %q, %v", from, to.Text, err)
		}
	}
	if _, err := m.do(osupdate.Request{Verb: osupdate.Upgrade, From: "/media/usb"}); !errors.Is(err, osupdate.ErrUnsupported) || len(fail.Hints(err)) == 0 {
		t.Errorf("an upgrade from a directory: %v", err)
	}
}

// TestH69_UpgradeOverASwitch: what waits and follows something else is upgraded, or the
// upgrade is refused where the updater would go back to what runs.
func TestH69_UpgradeOverASwitch(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc, composefs} {
		m := newMachine(t, kind)
		m.must(osupdate.Request{Verb: osupdate.Switch, Target: elsewhere(kind)})
		m.other(func(h *fakehost.Host) {
			for follows := range h.Newest {
				if strings.HasSuffix(follows, elsewhere(kind)) {
					h.Newest[follows] = "8"
				}
			}
		})
		res, err := m.do(osupdate.Request{Verb: osupdate.Upgrade})
		switch {
		case kind == osupdate.OSTree && (!errors.Is(err, osupdate.ErrUnsafe) || len(fail.Hints(err)) < 2 || m.fake.Next().Version != "7"):
			t.Errorf("%s: %+v, %v, %s boots next", kind, res, err, m.fake.Next().Version)
		case kind != osupdate.OSTree && (err != nil || m.fake.Next().Version != "8" || !strings.HasSuffix(m.fake.Next().Follows, elsewhere(kind))):
			t.Errorf("%s: %+v, %v, %+v boots next", kind, res, err, m.fake.Next())
		}
	}
}

// TestH78_NewestIsHere: after a rollback what check finds is named as the system that it
// is, and where the updater takes it for no news, the way to it is named.
func TestH78_NewestIsHere(t *testing.T) {
	for _, kind := range []osupdate.Kind{osupdate.OSTree, osupdate.RPMOSTree, osupdate.Bootc} {
		m := newMachine(t, kind)
		m.other(func(h *fakehost.Host) { h.Newest[h.Running().Follows] = "2" })
		m.must(osupdate.Request{Verb: osupdate.Rollback})
		m.boot(0)
		if c, err := m.open().Check(t.Context()); err != nil || c.Update == nil || c.Update.Version != "2" {
			t.Errorf("%s: %+v, %v", kind, c, err)
		}
	}
	m := newMachine(t, composefs)
	m.other(func(h *fakehost.Host) { h.Newest[image] = "2" })
	m.must(osupdate.Request{Verb: osupdate.Rollback})
	m.boot(0)
	if res := m.must(osupdate.Request{Verb: osupdate.Upgrade}); !strings.Contains(res.Unchanged, "tbx host rollback") {
		t.Errorf("composefs: %+v", res)
	}
}
