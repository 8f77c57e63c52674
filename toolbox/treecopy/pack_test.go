package treecopy

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func order(t *testing.T, o PackOrder) string {
	t.Helper()
	data, err := json.Marshal(o)
	must(t, err)
	return string(data)
}

// unpack has Unpack make a tree of an archive, and returns what it said last.
func unpack(t *testing.T, o PackOrder, archive io.Reader, last string) Event {
	t.Helper()
	var out bytes.Buffer
	if err := Unpack(order(t, o), io.MultiReader(archive, strings.NewReader(last)), &out); err != nil {
		return Event{Failed: &Failure{Text: err.Error()}}
	}
	var ev Event
	for dec := json.NewDecoder(&out); dec.More(); {
		ev = Event{}
		must(t, dec.Decode(&ev))
	}
	return ev
}

// TestE110_Pack: a tree comes out of the archive as it went in, and none without the order.
func TestE110_Pack(t *testing.T) {
	source, into := t.TempDir(), t.TempDir()
	makeTree(t, source)
	_ = os.Remove(filepath.Join(source, "null"))                                       // root has made a device
	must(t, unix.Removexattr(filepath.Join(source, "a/plain"), "user.overlay.origin"), // the layer's, which stays behind
		unix.Setxattr(filepath.Join(source, "a/plain"), "user.a=b", []byte("\x00"), 0),
		os.Chtimes(filepath.Join(source, "a/zero"), time.Time{}, time.Unix(-3, 5)))
	var archive bytes.Buffer
	must(t, Pack(order(t, PackOrder{Dir: source}), &archive))
	o := PackOrder{Dir: into, Name: "diff"}
	if ev := unpack(t, o, bytes.NewReader(archive.Bytes()), "no\n"); ev.Failed == nil || ev.Failed.Text != ErrCanceled.Error() {
		t.Errorf("without the order: %+v", ev)
	}
	if ev := unpack(t, o, bytes.NewReader(archive.Bytes()[:archive.Len()/2]), ""); ev.Failed == nil {
		t.Errorf("half of it: %+v", ev)
	}
	if names, _ := os.ReadDir(into); len(names) != 0 {
		t.Fatalf("%v is left", names)
	}
	must(t, os.Mkdir(filepath.Join(into, "diff"), 0o700))
	if ev := unpack(t, o, &archive, "commit\n"); !ev.Done {
		t.Fatalf("%+v", ev.Failed)
	}
	same(t, source, filepath.Join(into, "diff"))
	if names, _ := os.ReadDir(into); len(names) != 1 {
		t.Errorf("%v is left", names)
	}
}

// TestE112_HostileArchive: what leads out of the tree, or is more than a file, is refused and
// leaves nothing.
func TestE112_HostileArchive(t *testing.T) {
	root := &tar.Header{Typeflag: tar.TypeDir, Name: "./"}
	file := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name} }
	attr := func(h *tar.Header, name string) *tar.Header {
		h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{name: "x"}
		return h
	}
	for want, hs := range map[string][]*tar.Header{
		"nothing in it":           {},
		"begin with its root":     {file("a")},
		"its path leads":          {root, file("../a")},
		"its path leads e":        {root, file("/etc/a")},
		"its path leads el":       {root, file("./a")},
		"does not come right":     {root, file("a/b")},
		"does not come right b":   {root, {Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/tmp"}, file("a/b")},
		"comes twice":             {root, file("a"), file("a")},
		"it comes twice":          {root, {Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/tmp/tbxt-escape"}, file("a")},
		"is a device":             {root, {Typeflag: tar.TypeChar, Name: "a", Devmajor: 1, Devminor: 3}},
		"it is a device":          {root, {Typeflag: tar.TypeBlock, Name: "a"}},
		"of the kind":             {root, {Typeflag: tar.TypeCont, Name: "a"}},
		"name of a missing file":  {root, {Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc"}, {Typeflag: tar.TypeLink, Name: "b", Linkname: "a/passwd"}},
		"its path leads els":      {root, {Typeflag: tar.TypeLink, Name: "b", Linkname: "../../passwd"}},
		"attribute \"trusted":     {root, attr(file("a"), "SCHILY.xattr.trusted.overlay.redirect")},
		"\"user.overlay.redirect": {root, attr(file("a"), "SCHILY.xattr.user.overlay.redirect")},
		"holes":                   {root, attr(file("a"), "TBX.size")},
		"mode is invalid":         {root, {Typeflag: tar.TypeReg, Name: "a", Mode: 0o100644}},
	} {
		into := t.TempDir()
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		for _, h := range hs {
			if h.PAXRecords["TBX.size"] != "" {
				h.PAXRecords["TBX.size"] = "7"
			}
			must(t, w.WriteHeader(h))
		}
		must(t, w.Close())
		ev := unpack(t, PackOrder{Dir: into, Name: "diff"}, &archive, "commit\n")
		if ev.Failed == nil || !strings.Contains(ev.Failed.Text, strings.TrimSpace(want)) || !strings.Contains(ev.Failed.Text, ErrHostile.Error()) {
			t.Errorf("%s: %+v", want, ev.Failed)
		}
		if names, _ := os.ReadDir(into); len(names) != 0 {
			t.Errorf("%s: %v is left", want, names)
		}
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	must(t, w.WriteHeader(root), w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "huge", Size: 1 << 60}))
	ev := unpack(t, PackOrder{Dir: t.TempDir(), Name: "diff"}, &archive, "")
	if ev.Failed == nil || !ev.Failed.Full || !strings.Contains(ev.Failed.Text, "are free") {
		t.Errorf("a huge file: %+v", ev.Failed)
	}
}

// TestE110_IDs: what the archive says of owners is what they are inside.
func TestE110_IDs(t *testing.T) {
	m, err := ParseIDs([]string{"0:1:1000", "1000:0:1", "1001:1001:64536"})
	must(t, err)
	o := owners{m.toInside, m.toInside}
	for outside, inside := range map[uint32]uint32{0: 1000, 1: 0, 1000: 999, 1001: 1001} {
		if got, err := m.toInside(outside); got != inside || err != nil {
			t.Errorf("%d is %d inside, %v", outside, got, err)
		}
		if got, err := m.toOutside(inside); got != outside || err != nil {
			t.Errorf("%d is %d outside, %v", inside, got, err)
		}
	}
	if _, err := m.toInside(65537); err == nil {
		t.Error("an id of nobody's is taken")
	}
	if got, err := o.attribute(accessACL, "\x02\x00\x00\x00\x02\x00\x05\x00\x01\x00\x00\x00\x04\x00\x05\x00\xff\xff\xff\xff"); err != nil || got[8:12] != "\x00\x00\x00\x00" || got[16:] != "\xff\xff\xff\xff" {
		t.Errorf("an access control list: %q, %v", got, err)
	}
	if got, err := o.attribute(fileCaps, "\x01\x00\x00\x03"+strings.Repeat("\x00", 16)+"\x01\x00\x00\x00"); err != nil || got[20:] != "\x00\x00\x00\x00" {
		t.Errorf("capabilities: %q, %v", got, err)
	}
	u := &unpacker{}
	must(t, u.translate(&PackOrder{UIDs: []string{"0:1:1000", "1000:0:1"}, User: [2]uint32{500, 1000}}))
	for inside, outside := range map[uint32]uint32{500: 0, 1000: 501, 0: 1} {
		if got, err := u.owners.user(inside); got != outside || err != nil {
			t.Errorf("of another's: %d is %d outside, %v", inside, got, err)
		}
	}
	for _, bad := range []string{"", "1:2", "a:1:2", "1:2:-3"} {
		if _, err := ParseIDs([]string{bad}); err == nil {
			t.Errorf("the map %q is taken", bad)
		}
	}
}
