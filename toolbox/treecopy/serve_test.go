package treecopy

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// talk is a Serve that runs, with one who gives it orders.
type talk struct {
	t      *testing.T
	orders *io.PipeWriter
	events *bufio.Scanner
	ended  chan error
}

func serve(t *testing.T, args ...string) *talk {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	k := &talk{t, inW, bufio.NewScanner(outR), make(chan error, 1)}
	go func() {
		err := Serve(args, inR, outW)
		outW.Close()
		k.ended <- err
	}()
	return k
}

// next is the next event that is no progress; the zero Event at the end.
func (k *talk) next() Event {
	k.t.Helper()
	for k.events.Scan() {
		var ev Event
		if err := json.Unmarshal(k.events.Bytes(), &ev); err != nil {
			k.t.Fatal(err)
		}
		if ev.Progress == nil {
			return ev
		}
	}
	return Event{}
}

func (k *talk) order(words string) Event {
	k.t.Helper()
	if _, err := io.WriteString(k.orders, words+"\n"); err != nil {
		k.t.Fatal(err)
	}
	return k.next()
}

// TestE30_Serve: a copy on orders, from measuring to its place.
func TestE30_Serve(t *testing.T) {
	source, into := t.TempDir(), t.TempDir()
	makeTree(t, source)
	must(t, os.Mkdir(filepath.Join(into, "diff"), 0o700))
	k := serve(t, source, into, "diff")
	if ev := k.next(); ev.Size == nil || ev.Size.Entries != int64(len(manifest(t, source))-1) || ev.Size.Bytes < 640_000 || ev.Size.Free <= 0 {
		t.Fatalf("%+v", ev)
	}
	if ev := k.order(OrderPass); ev.Pass == nil || ev.Pass.Changed == 0 {
		t.Fatalf("%+v", ev)
	}
	if names, _ := os.ReadDir(filepath.Join(into, "diff")); len(names) != 0 {
		t.Errorf("%v is at its place before its time", names)
	}
	if ev := k.order(OrderCommit); !ev.Done {
		t.Fatalf("%+v", ev)
	}
	must(t, <-k.ended)
	same(t, source, filepath.Join(into, "diff"))
	if names, _ := os.ReadDir(into); len(names) != 1 {
		t.Errorf("%v is left", names)
	}
}

// TestE34_ServeLeavesNothing: whoever gave the orders has ended, or what is at the place
// is not empty: nothing is left of the copy, and what was there is as it was.
func TestE34_ServeLeavesNothing(t *testing.T) {
	source := t.TempDir()
	makeTree(t, source)
	for what, last := range map[string]string{"ended": "", "another word": "burn\n", "taken": OrderCommit + "\n"} {
		into := t.TempDir()
		must(t, os.Mkdir(filepath.Join(into, "diff"), 0o700), os.WriteFile(filepath.Join(into, "diff/own"), nil, 0o600))
		k := serve(t, source, into, "diff")
		k.next()
		k.order(OrderPass)
		go func() {
			io.WriteString(k.orders, last)
			k.orders.Close()
		}()
		ev := k.next()
		if what == "taken" && (ev.Failed == nil || !strings.Contains(ev.Failed.Text, "diff")) {
			t.Errorf("%s: %+v", what, ev)
		}
		if err := <-k.ended; (err == nil) != (what == "taken") {
			t.Errorf("%s: %v", what, err)
		}
		names, _ := os.ReadDir(into)
		if own, err := os.ReadDir(filepath.Join(into, "diff")); len(names) != 1 || len(own) != 1 || err != nil {
			t.Errorf("%s: %v %v %v", what, names, own, err)
		}
	}
	into := t.TempDir()
	must(t, os.MkdirAll(Part(into, "diff")+"/tree/a/b", 0o700))
	if err := Serve([]string{"--remove", into, "diff"}, strings.NewReader(""), io.Discard); err != nil {
		t.Error(err)
	}
	if names, _ := os.ReadDir(into); len(names) != 0 {
		t.Errorf("%v is left", names)
	}
}

// TestE34_NoPlace: a place that there is not is named, and no error of the copy counts as
// one of the source, in which anything may go at any time.
func TestE34_NoPlace(t *testing.T) {
	k := serve(t, t.TempDir(), filepath.Join(t.TempDir(), "none"), "diff")
	if ev := k.next(); ev.Failed == nil || !strings.Contains(ev.Failed.Text, "none") || ev.Failed.Full {
		t.Errorf("%+v", ev)
	}
	if gone(failed("name", target(unix.ENOENT))) || !gone(failed("name", unix.ENOENT)) {
		t.Error("an error of the copy is taken for one of the source")
	}
}

// smallDisk is set in the child of TestE35_Full: the directory on which it mounts a small
// file system.
const smallDisk = "TREECOPY_SMALL_DISK"

// TestE35_Full: a disk that becomes full in the middle is said to be full, nothing is left
// of the copy, and the source is as it was. It runs in namespaces of its own, where it may
// mount a small file system.
func TestE35_Full(t *testing.T) {
	dir := os.Getenv(smallDisk)
	if dir == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestE35_Full$", "-test.v")
		cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
			t.Skip("no user namespaces may be made here")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	source := t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "a"), make([]byte, 100_000), 0o600), os.WriteFile(filepath.Join(source, "b"), make([]byte, 3<<20), 0o600))
	before := manifest(t, source)
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	k := serve(t, source, dir, "diff")
	if ev := k.next(); ev.Size == nil || ev.Size.Free > 2<<20 || ev.Size.Bytes < 3<<20 {
		t.Fatalf("%+v", ev)
	}
	if ev := k.order(OrderPass); ev.Failed == nil || !ev.Failed.Full || !strings.Contains(ev.Failed.Text, `"b"`) {
		t.Errorf("%+v", ev)
	}
	must(t, <-k.ended)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("%v is left, %v", names, err)
	}
	if !maps.Equal(before, manifest(t, source)) {
		t.Error("the source has changed")
	}
}
