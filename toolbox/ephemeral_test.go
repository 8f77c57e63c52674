package toolbox

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// E64: a label of an image makes no toolbox ephemeral.
func TestE64_LabelOfAnImage(t *testing.T) {
	ours := &Spec{Version: SpecVersion, ID: "abababababababababababababababab", Image: "localhost/debian:12", Ephemeral: "/run/user/1000/tbx/ephemeral/ephemeral-0123456789ab"}
	stays := *ours
	stays.Ephemeral = ""
	other := *ours
	other.ID = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	for _, c := range []struct {
		what string
		s    *Spec // in the label
		want bool
	}{{"its own", ours, true}, {"one that stays", &stays, false}, {"another's", &other, false}} {
		b := &Box{Container: Container{Labels: map[string]string{LabelID: ours.ID, LabelSpec: ours.Hash(), LabelSpecification: c.s.specLabel()}}}
		if got := b.carriedEphemeral() != nil; got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// E64: a lock is somebody's, nobody's, or another file by now.
func TestE64_Owner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "ephemeral-0123456789ab")
	o, err := takeOwner(path, []byte(`{"ID":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if other, err := takeOwner(path, nil); err == nil {
		other.close()
		t.Error("it was taken twice")
	}
	if left, err := orphaned(path); left != nil || err != nil {
		t.Errorf("its owner lives: %v, %v", left, err)
	}
	if s := readOwner(path); s == nil || s.ID != "x" {
		t.Errorf("its content: %+v", s)
	}
	o.close()
	left, err := orphaned(path)
	if left == nil || err != nil {
		t.Fatalf("its owner is gone: %v, %v", left, err)
	}
	if !left.fresh() || !left.is(path) {
		t.Error("it was made just now, and is there")
	}
	os.Remove(path)
	if left.is(path) {
		t.Error("it was removed")
	}
	left.close()
	if none, err := orphaned(path); none == nil || err != nil {
		t.Errorf("there is none, so nobody holds it: %v, %v", none, err)
	}
}

// X52: what runs in the toolbox has the lock's file to read. Whatever it holds of it, its
// first process sees that the owner is gone, and the next tbx, one at a time, does.
func TestX52_LocksOfTheToolbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "ephemeral-0123456789ab")
	o, err := takeOwner(path, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	inside, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	reads := &unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.Flock(int(inside.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if unix.FcntlFlock(inside.Fd(), unix.F_OFD_SETLK, reads) == nil {
		t.Error("the owner's lock keeps nobody out")
	}
	if unix.FcntlFlock(inside.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) == nil {
		t.Error("it can be locked for writing by who may read it")
	}
	if left, err := orphaned(path); left != nil || err != nil {
		t.Errorf("its owner lives: %v, %v", left, err)
	}
	o.close()
	for _, kind := range []int{unix.F_OFD_SETLK, unix.F_SETLK} {
		if err := unix.FcntlFlock(inside.Fd(), kind, reads); err != nil {
			t.Fatal(err)
		}
	}
	first, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := unix.FcntlFlock(first.Fd(), unix.F_OFD_SETLK, reads); err != nil {
		t.Errorf("the first process would wait: %v", err)
	}
	left, err := orphaned(path)
	if left == nil || err != nil {
		t.Fatalf("its owner is gone: %v, %v", left, err)
	}
	if too, err := orphaned(path); too != nil || err != nil {
		t.Errorf("two at once: %v, %v", too, err)
	}
	left.close()
}

// E64: only tbx's own names are looked at.
func TestE64_Names(t *testing.T) {
	for i := range 20 {
		if name := newEphemeralName(); !isEphemeralName(name) {
			t.Errorf("%d: %s", i, name)
		} else if _, err := ParseName(string(name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []Name{"ephemeral", "ephemeral-", "ephemeral-0123456789ab.log", "ephemeral-0123456789aB", "x-0123456789ab"} {
		if isEphemeralName(name) {
			t.Error(name)
		}
	}
}
