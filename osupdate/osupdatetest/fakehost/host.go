// Package fakehost is a host of the OSTree family for tests, at the boundary of
// processes: programs called rpm-ostree, bootc, ostree and systemctl that work on one
// model and write what the real ones write, recorded in the testdata of the backends.
// An upgrade changes what the next status says, and a boot finishes what is staged,
// or loses what is locked. The programs are the test's own binary, by other names.
package fakehost

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Host is the model. It is kept in a file, so that each program sees the same.
type Host struct {
	Deployments []Deployment      // in ostree's order: a staged one first
	Booted      string            // id
	Newest      map[string]string // what each source names now: a version
	Busy        string            // a transaction that runs; empty: none
	Soft        bool              // a soft reboot is prepared
	Agent       string            // rpm-ostree: the unit of an agent that has registered, and runs
	Asked       []string          // what systemctl was asked to do
	Finalizer   string            // state of the unit that writes what is staged; empty: active
	Writes      int               // how often the deployments were written
	Linked      int               // ... when the links were written last
	Boots       int
	Fetched     map[string]string // rpm-ostree: versions that --download-only has fetched

	root string
}

// Deployment is one system.
type Deployment struct {
	Root     string // stateroot
	Version  string // its content: the checksum is made of it
	Serial   int
	Follows  string
	Layered  []string
	Kargs    []string
	Pinned   bool
	Staged   bool
	Locked   bool
	Unlocked bool // /usr is writable
	Own      bool // on bootc's own storage, composefs
	Written  int  // at which boot it was made
}

// Checksum is the commit of a version with its layers.
func (d *Deployment) Checksum() string {
	sum := checksum(d.Version + strings.Join(d.Layered, "+"))
	if d.Own {
		return sum + sum // fs-verity's
	}
	return sum
}

// ID is the deployment's.
func (d *Deployment) ID() string {
	if d.Own {
		return "composefs-" + d.Checksum()
	}
	return fmt.Sprintf("%s-%s.%d", d.Root, d.Checksum(), d.Serial)
}

func checksum(text string) string {
	return fmt.Sprintf("%064x", []byte(text))[:64]
}

// Digest is the digest of the image of a version.
func Digest(version string) string { return "sha256:" + checksum("image"+version) }

// Commit is the commit of a version without layers.
func Commit(version string) string { return checksum(version) }

// New makes a host that runs version 2 and has version 1 to go back to. follows is
// the origin of both.
func New(t *testing.T, follows string) *Host {
	t.Helper()
	h := &Host{root: t.TempDir(), Newest: map[string]string{follows: "3", other(follows): "7"}, Fetched: map[string]string{}, Boots: 1, Writes: 1}
	for _, v := range []string{"2", "1"} {
		h.Deployments = append(h.Deployments, Deployment{Root: "os", Version: v, Follows: follows, Kargs: []string{"root=UUID=1", "rw"}})
	}
	h.Booted = h.Deployments[0].ID()
	for _, name := range []string{"rpm-ostree", "bootc", "ostree", "systemctl"} {
		link(t, filepath.Join(h.root, "usr/bin", name))
	}
	for name, text := range map[string]string{
		"run/ostree-booted":  "",
		"ostree/repo/config": "[core]\nrepo_version=1\n\n[remote \"lab\"]\nurl=http://example.invalid/\ngpg-verify=true\n",
	} {
		put(t, filepath.Join(h.root, name), text)
	}
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	h.started(t)
	return h
}

// other is a second source that there is beside what a host follows.
func other(follows string) string {
	if strings.HasPrefix(follows, "ostree-") {
		return "ostree-unverified-registry:quay.io/lab/other:1"
	}
	return "lab:debian/forky/x86_64/lab"
}

// NewComposefs makes one on bootc's own storage, without ostree.
func NewComposefs(t *testing.T, follows string) *Host {
	t.Helper()
	h := New(t, follows)
	for i := range h.Deployments {
		h.Deployments[i].Own = true
	}
	h.Booted = h.Deployments[0].ID()
	for _, name := range []string{"run/ostree-booted", "usr/bin/ostree", "usr/bin/rpm-ostree"} {
		if err := os.Remove(filepath.Join(h.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	return h
}

// started notes when this boot began, finer than a kernel does: tests are quick.
func (h *Host) started(t *testing.T) {
	t.Helper()
	put(t, filepath.Join(h.root, "proc/stat"), fmt.Sprintf("btime %.6f\n", float64(time.Now().UnixNano())/1e9))
	time.Sleep(5 * time.Millisecond) // the grain of a file system's clock
}

// link makes the test's binary a program of another name.
func link(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Root is the root directory of the host, and Programs where its programs are.
func (h *Host) Root() string     { return h.root }
func (h *Host) Programs() string { return filepath.Join(h.root, "usr/bin") }

// Load reads the model of the host below root.
func Load(root string) (*Host, error) {
	data, err := os.ReadFile(filepath.Join(root, "model.json"))
	if err != nil {
		return nil, err
	}
	h := &Host{root: root}
	return h, json.Unmarshal(data, h)
}

// Reload reads again what the programs have changed.
func (h *Host) Reload(t *testing.T) {
	t.Helper()
	now, err := Load(h.root)
	if err != nil {
		t.Fatal(err)
	}
	*h = *now
}

// Save writes the model, and the files that ostree and the boot loader have of it.
func (h *Host) Save() error {
	if err := h.writeFiles(); err != nil {
		return err
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.root, "model.json"), data, 0o644)
}

// Snapshot is everything that decides what boots, as text.
func (h *Host) Snapshot(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.root, "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Next is what boots next.
func (h *Host) Next() *Deployment {
	for i := range h.Deployments {
		if d := &h.Deployments[i]; !d.Locked {
			return d
		}
	}
	return nil
}

// Running is the booted deployment.
func (h *Host) Running() *Deployment {
	for i := range h.Deployments {
		if h.Deployments[i].ID() == h.Booted {
			return &h.Deployments[i]
		}
	}
	return nil
}

// Boot restarts the machine: a staged system is written, a locked one is lost. menu
// is the index among the entries of the boot loader that somebody chooses; 0 is the
// default one.
func (h *Host) Boot(t *testing.T, menu int) {
	t.Helper()
	h.finish()
	h.Boots++
	h.start(t, menu)
}

// SoftBoot starts what a soft reboot was prepared for, by the same kernel: the boot's
// id stays.
func (h *Host) SoftBoot(t *testing.T) {
	t.Helper()
	if !h.Soft {
		t.Fatal("no soft reboot is prepared")
	}
	h.finish()
	h.start(t, 0)
}

func (h *Host) start(t *testing.T, menu int) {
	t.Helper()
	h.Soft = false
	for i := range h.Deployments {
		h.Deployments[i].Unlocked = false
	}
	h.Booted = h.Deployments[min(menu, len(h.Deployments)-1)].ID()
	if err := h.Save(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	h.started(t)
}

// finish is what a shutdown does with a staged system.
func (h *Host) finish() {
	i := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.Staged })
	if i < 0 {
		return
	}
	staged := h.Deployments[i]
	h.Deployments = slices.Delete(h.Deployments, i, i+1)
	if !staged.Locked {
		staged.Staged = false
		h.keep(staged)
	}
}

// keep puts a new system first and drops what ostree drops: all that is neither
// running, pinned, nor of another stateroot.
func (h *Host) keep(first Deployment) {
	kept := []Deployment{first}
	for _, d := range h.Deployments {
		if d.ID() == h.Booted || d.Pinned || d.Root != first.Root {
			kept = append(kept, d)
		}
	}
	h.Deployments = kept
	h.Writes++
}

// stage replaces what is staged by d.
func (h *Host) stage(d Deployment) {
	h.Deployments = slices.DeleteFunc(h.Deployments, func(d Deployment) bool { return d.Staged })
	d.Staged, d.Pinned, d.Unlocked, d.Written = true, false, false, h.Boots
	for d.Serial = 0; slices.ContainsFunc(h.Deployments, func(o Deployment) bool { return o.ID() == d.ID() }); d.Serial++ {
	}
	h.Deployments = append([]Deployment{d}, h.Deployments...)
}

// head is what a change begins with: the first system of the running stateroot.
func (h *Host) head() *Deployment {
	for i := range h.Deployments {
		if d := &h.Deployments[i]; d.Root == h.Running().Root {
			return d
		}
	}
	return nil
}
