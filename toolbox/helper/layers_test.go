package helper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// twoLayers makes the directories of two containers' layers, with a file in the first.
func twoLayers(t *testing.T) (a, b string) {
	t.Helper()
	top := t.TempDir()
	a, b = filepath.Join(top, "A/diff"), filepath.Join(top, "B/diff")
	if err := errors.Join(os.MkdirAll(a, 0o755), os.MkdirAll(b, 0o700), os.WriteFile(filepath.Join(a, "file"), []byte("x"), 0o640)); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func order(t *testing.T, o LayerOrder) *LayerAnswer {
	t.Helper()
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Layers(bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	a := &LayerAnswer{}
	if err := json.Unmarshal(out.Bytes(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestE1_MarkTravels: the layers change places with their modes and files, and the mark
// of the empty one goes with it.
func TestE1_MarkTravels(t *testing.T) {
	a, b := twoLayers(t)
	before, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	if got := order(t, LayerOrder{Verb: LayerExchange, Dirs: []string{a, b}, Mark: true}); got.Obstacle != "" {
		t.Fatalf("%+v", got)
	}
	after, err := os.Stat(b)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("%s is not what %s was: %v", b, a, err)
	}
	if data, err := os.ReadFile(filepath.Join(b, "file")); err != nil || string(data) != "x" {
		t.Errorf("%q %v", data, err)
	}
	got := order(t, LayerOrder{Verb: LayerLook, Dirs: []string{a, b, filepath.Join(a, "none")}})
	for i := range got.Seen {
		got.Seen[i].Inode = 0
	}
	if want := []LayerSeen{{Marked: true, Empty: true}, {}, {Missing: true}}; fmt.Sprint(got.Seen) != fmt.Sprint(want) {
		t.Errorf("%+v", got.Seen)
	}
	// And back, without another mark.
	if got := order(t, LayerOrder{Verb: LayerExchange, Dirs: []string{a, b}}); got.Obstacle != "" {
		t.Fatalf("%+v", got)
	}
	if got := order(t, LayerOrder{Verb: LayerLook, Dirs: []string{a, b}}); got.Seen[0].Marked || !got.Seen[1].Marked {
		t.Errorf("%+v", got.Seen)
	}
}

// TestE3_MountedLayer: a layer that a file system has as its upper directory is not
// exchanged, however its path is written.
func TestE3_MountedLayer(t *testing.T) {
	a, b := twoLayers(t)
	dir := filepath.Dir(filepath.Dir(a))
	for what, line := range map[string]string{
		"by its path":         "9 1 0:9 / /m rw - overlay overlay rw,lowerdir=/x,upperdir=" + b + ",workdir=/w,userxattr",
		"by a relative path":  "9 1 0:9 / /m rw shared:1 - overlay overlay rw,lowerdir=l/X,upperdir=B/diff,workdir=B/work",
		"at its merged":       "9 1 0:9 / " + dir + "/B/merged rw - overlay overlay rw",
		"by a program":        "9 1 0:9 / " + dir + "/B/merged rw - fuse.fuse-overlayfs fuse-overlayfs rw",
		"the first of both":   "9 1 0:9 / " + dir + "/A/merged rw - overlay overlay rw",
		"among other options": "9 1 0:9 / /m rw - overlay x rw,upperdir=" + a,
	} {
		o := LayerOrder{Verb: LayerExchange, Dirs: []string{a, b}, Mark: true}
		if got := o.carryOut("1 1 8:1 / / rw - ext4 /dev/sda rw\n" + line + "\n"); got.Obstacle != LayerMounted {
			t.Errorf("%s: %+v", what, got)
		}
		if _, err := os.Stat(filepath.Join(a, "file")); err != nil {
			t.Fatalf("%s: exchanged: %v", what, err)
		}
	}
	for what, line := range map[string]string{
		"another's":     "9 1 0:9 / /m rw - overlay overlay rw,lowerdir=" + b + ",upperdir=/other/diff,workdir=/w",
		"longer":        "9 1 0:9 / /m rw - overlay overlay rw,upperdir=" + b + "x",
		"no overlay":    "9 1 0:9 / " + dir + "/B/merged rw - ext4 /dev/sda rw",
		"not mountinfo": "- overlay",
	} {
		if layerMounted(b, line) {
			t.Errorf("%s: taken for mounted", what)
		}
	}
	spaced := filepath.Join(dir, "a b/overlay/C/diff")
	if !layerMounted(spaced, "9 1 0:9 / "+strings.ReplaceAll(filepath.Dir(spaced), " ", `\040`)+"/merged rw - overlay overlay rw") {
		t.Error("a path with a space is not found")
	}
}

// TestE4_LayersThatCannotBeExchanged: another file system, a link or a file in the place
// of a layer, none at all, an order that is none: nothing is moved, and it is said.
func TestE4_LayersThatCannotBeExchanged(t *testing.T) {
	a, b := twoLayers(t)
	top := filepath.Dir(filepath.Dir(a))
	if err := errors.Join(os.Symlink(b, filepath.Join(top, "link")), os.WriteFile(filepath.Join(top, "plain"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]LayerOrder{
		"a link":    {Verb: LayerExchange, Dirs: []string{a, filepath.Join(top, "link")}, Mark: true},
		"a file":    {Verb: LayerExchange, Dirs: []string{filepath.Join(top, "plain"), b}, Mark: true},
		"none":      {Verb: LayerExchange, Dirs: []string{a, filepath.Join(top, "none/diff")}, Mark: true},
		"one":       {Verb: LayerExchange, Dirs: []string{a}},
		"no verb":   {Verb: "burn", Dirs: []string{a, b}},
		"in itself": {Verb: LayerExchange, Dirs: []string{top, a}},
	} {
		if got := order(t, o); got.Obstacle == "" {
			t.Errorf("%s: %+v", what, got)
		}
		if _, err := os.Stat(filepath.Join(a, "file")); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	other, err := os.MkdirTemp("/dev/shm", "layers")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(other)
	var here, there unix.Stat_t
	if err := errors.Join(unix.Stat(a, &here), unix.Stat(other, &there)); err != nil || here.Dev == there.Dev {
		t.Skipf("no second file system here: %v", err)
	}
	if got := order(t, LayerOrder{Verb: LayerExchange, Dirs: []string{a, other}, Mark: true}); got.Obstacle != LayerElsewhere {
		t.Errorf("%+v", got)
	}
}
