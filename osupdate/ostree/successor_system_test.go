//go:build system

package ostree_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// TestH85_Successor: the move to what a system names at its end of life pins it first,
// and is none where the successor is missing, elsewhere, or no name at all.
func TestH85_Successor(t *testing.T) {
	l := newLab(t)
	move := osupdate.Request{Verb: osupdate.Switch, Successor: true}
	names := func(version, successor string) {
		t.Helper()
		l.publish(stable, version, "--add-metadata-string=ostree.endoflife=no more updates", "--add-metadata-string=ostree.endoflife-rebase="+successor)
		l.repo("pull", "testos", stable)
		l.run("ostree", "admin", "--sysroot="+l.sysroot, "deploy", "--os=testos", "testos:"+stable)
	}
	l.refused(move, osupdate.ErrNotFound)
	names("42.3", next)
	l.refused(move, osupdate.ErrNotFound) // no such branch yet
	l.publish(next, "43.1")
	for n, bad := range []string{"--help", "../x", "a b", "other:" + next, "quay.io/x/y:1", "x\x1b[2J", ""} {
		names("42.3"+string(rune('a'+n)), bad)
		want := osupdate.ErrNotFound
		if n == 3 || n == 4 {
			want = osupdate.ErrUnsafe
		}
		l.refused(move, want)
	}
	names("42.9", next)
	res := l.do(move)
	if res.After.Version != "43.1" || res.After.Tracks != "testos:"+next {
		t.Errorf("%+v", res.After)
	}
	s := l.state()
	for _, d := range s.Deployments {
		if d.Version == "42.9" && !d.Pinned {
			t.Errorf("the last system of the old branch is not pinned: %+v", s.Deployments)
		}
	}
	for _, r := range []osupdate.Request{{Verb: osupdate.Switch}, {Verb: osupdate.Switch, Target: next, Successor: true}, {Verb: osupdate.Upgrade, Successor: true}} {
		if _, err := l.host().Do(t.Context(), r, true); !errors.Is(err, fail.Usage) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestH86_LastRelease: ostree itself moves to the successor that the newest commit names;
// tbx does so only when it is told to, and the last release can be taken alone.
func TestH86_LastRelease(t *testing.T) {
	l := newLab(t)
	l.publish(next, "43.1")
	l.publish(stable, "42.3", "--add-metadata-string=ostree.endoflife=no more updates", "--add-metadata-string=ostree.endoflife-rebase="+next)
	if u, err := l.host().Check(t.Context()); err != nil || u.Update == nil || u.Update.Version != "42.3" || u.Update.Successor != next {
		t.Errorf("%+v, %v", u, err)
	}
	l.refusedAsChecked("--to 42.3")
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}, osupdate.ErrUnsafe)
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, From: l.dir + "/remote"}, osupdate.ErrUnsafe)
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade, Target: "42.3"}); res.After.Tracks != "testos:"+stable {
		t.Errorf("%+v", res.After)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade, Target: "42.3"}); res.Unchanged == "" {
		t.Errorf("twice is not once: %+v", res)
	}
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, Target: "42.2", AllowDowngrade: true}, osupdate.ErrUnsafe)
	l.refusedAsChecked("--successor")
	if res := l.do(osupdate.Request{Verb: osupdate.Switch, Successor: true}); res.After.Version != "43.1" {
		t.Errorf("%+v", res.After)
	}
}

// refusedAsChecked wants an upgrade to be refused with that hint, and check to have said
// so in the same words.
func (l *lab) refusedAsChecked(hint string) {
	l.t.Helper()
	c, err := l.host().Check(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	err = l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrUnsafe)
	if r := c.Refused; r == nil || r.Message != err.Error() || !slices.Equal(r.Hints, fail.Hints(err)) || !strings.Contains(strings.Join(r.Hints, " "), hint) {
		l.t.Errorf("check said %+v, and the upgrade %v, hints %q", r, err, fail.Hints(err))
	}
}
