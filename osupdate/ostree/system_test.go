//go:build system

package ostree_test

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostree"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

const (
	stable = "testos/x86_64/stable"
	next   = "testos/x86_64/next"
)

// lab is a sysroot directory with the real ostree, an archive repository as its
// remote, and a tree that becomes one version after another.
type lab struct {
	t       *testing.T
	dir     string
	sysroot string
	cfg     osupdate.Config
	began   time.Time // the releases follow it
	n       int
}

// newLab deploys version 42.1 and publishes 42.2.
func newLab(t *testing.T) *lab { t.Helper(); return newLabWith(t, nil) }

// newLabWith is newLab whose trees have more files.
func newLabWith(t *testing.T, files map[string]string) *lab {
	t.Helper()
	dir := t.TempDir()
	l := openLab(t, dir)
	t.Cleanup(l.mutable)
	l.run("ostree", "--repo="+dir+"/remote", "init", "--mode=archive")
	for _, d := range []string{"usr/bin", "usr/etc", "usr/lib/modules/5.10.0", "boot", "var", "sysroot", "tmp", "proc", "run", "dev", "sys"} {
		l.mkdir("tree/" + d)
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		l.symlink("usr/"+link, "tree/"+link)
	}
	l.symlink("sysroot/ostree", "tree/ostree")
	l.write("tree/usr/lib/modules/5.10.0/vmlinuz", "a kernel")
	l.write("tree/usr/lib/modules/5.10.0/initramfs.img", "an initramfs")
	l.write("tree/usr/lib/os-release", "NAME=TestOS\nID=testos\nVERSION_ID=42\nPRETTY_NAME=\"TestOS 42\"\n")
	l.write("tree/usr/etc/app.conf", "default\n")
	for name, text := range files {
		l.mkdir("tree/" + filepath.Dir(name))
		l.write("tree/"+name, text)
	}
	l.publish(stable, "42.1")
	l.mkdir("sysroot")
	l.run("ostree", "admin", "init-fs", l.sysroot)
	l.run("ostree", "admin", "--sysroot="+l.sysroot, "os-init", "testos")
	l.mkdir("sysroot/boot/loader.0")
	l.mkdir("sysroot/boot/syslinux")
	l.symlink("loader.0", "sysroot/boot/loader")
	l.write("sysroot/boot/loader.0/syslinux.cfg", "")
	l.symlink("../loader/syslinux.cfg", "sysroot/boot/syslinux/syslinux.cfg")
	l.repo("remote", "add", "--set=gpg-verify=false", "testos", "file://"+dir+"/remote")
	l.repo("pull", "testos", stable)
	l.run("ostree", "admin", "--sysroot="+l.sysroot, "deploy", "--os=testos", "--karg=root=LABEL=rootfs", "testos:"+stable)
	l.publish(stable, "42.2")
	return l
}

// mutable has deployments, which are immutable where root made them, be removed.
func (l *lab) mutable() {
	roots, err := filepath.Glob(l.sysroot + "/ostree/deploy/*/deploy/*")
	if err != nil {
		l.t.Error(err)
	}
	for _, root := range roots {
		if f, err := os.Open(root); err == nil {
			_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0) // the removal says where it was of no use
			f.Close()
		}
	}
}

// openLab is the lab in dir, with tbx configured for it.
func openLab(t *testing.T, dir string) *lab {
	l := &lab{t: t, dir: dir, sysroot: filepath.Join(dir, "sysroot"), began: time.Now().Add(-time.Hour)}
	l.cfg = osupdatetest.NewConfig("/", filepath.Join(dir, "tbx"))
	l.cfg.Sysroot = l.sysroot
	l.cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return ostree.New(c.Tools, c.Sysroot, c.OS, filepath.Join(dir, "cache"), false)
	}
	return l
}

func (l *lab) try(argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (l *lab) run(argv ...string) string {
	l.t.Helper()
	out, err := l.try(argv...)
	if err != nil {
		l.t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return strings.TrimSpace(out)
}

func (l *lab) repo(args ...string) string {
	l.t.Helper()
	return l.run(append([]string{"ostree", "--repo=" + l.sysroot + "/ostree/repo"}, args...)...)
}

// publish commits the tree, changed in one file, as that version.
// publish commits one release a minute: OSTree compares commits by whole seconds, and two
// releases of the same second are none older than the other.
func (l *lab) publish(ref, version string, more ...string) string {
	l.t.Helper()
	l.n++
	at := l.began.Add(time.Duration(l.n) * time.Minute)
	l.write("tree/usr/bin/hello", fmt.Sprintf("hello %d", l.n))
	return l.run(append([]string{"ostree", "--repo=" + l.dir + "/remote", "commit", "-b", ref, "--tree=dir=" + l.dir + "/tree",
		"--add-metadata-string=version=" + version, "-s", version, fmt.Sprintf("--timestamp=@%d", at.Unix())}, more...)...)
}

func (l *lab) mkdir(name string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Join(l.dir, name), 0o755); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) symlink(target, name string) {
	l.t.Helper()
	if err := os.Symlink(target, filepath.Join(l.dir, name)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) host() *osupdate.Host {
	l.t.Helper()
	h, err := osupdate.Open(l.cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) do(r osupdate.Request) *osupdate.Result {
	l.t.Helper()
	res, err := l.host().Do(l.t.Context(), r, false)
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", r.Verb, err, said(err))
	}
	return res
}

func (l *lab) refused(r osupdate.Request, want error) error {
	l.t.Helper()
	before := l.snapshot()
	_, err := l.host().Do(l.t.Context(), r, false)
	if !errors.Is(err, want) {
		l.t.Fatalf("%+v: %v\n%s", r, err, said(err))
	}
	if len(fail.Hints(err)) == 0 {
		l.t.Errorf("%v: no next step", err)
	}
	if after := l.boots(); after != before[:len(after)] {
		l.t.Errorf("%s was refused and changed what boots:\n%s\nwas\n%s", r.Verb, after, before)
	}
	return err
}

func said(err error) string {
	var te *osupdate.ToolError
	if errors.As(err, &te) {
		return fmt.Sprintf("%q said:\n%s", te.Argv, te.Text())
	}
	return ""
}

func (l *lab) state() *osupdate.State {
	l.t.Helper()
	s, err := l.host().Status(l.t.Context())
	if err != nil {
		l.t.Fatalf("%v\n%s", err, said(err))
	}
	return s.State
}

// boots is what a boot loader would see.
func (l *lab) boots() string {
	l.t.Helper()
	entries, err := filepath.Glob(l.sysroot + "/boot/loader/entries/*")
	if err != nil {
		l.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(e)
		if err != nil {
			l.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s", filepath.Base(e), data)
	}
	return b.String()
}

// snapshot is what boots, and every file of the sysroot with its content.
func (l *lab) snapshot() string {
	l.t.Helper()
	var b strings.Builder
	b.WriteString(l.boots())
	err := filepath.WalkDir(l.sysroot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		link, sum := "", [32]byte{}
		switch {
		case d.Type() == fs.ModeSymlink:
			link, err = os.Readlink(path)
		case d.Type().IsRegular():
			var data []byte
			data, err = os.ReadFile(path)
			sum = sha256.Sum256(data)
		}
		fmt.Fprintf(&b, "%s %s %x\n", strings.TrimPrefix(path, l.sysroot), link, sum[:4])
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return b.String()
}

// etc is the directory of the deployment that boots next.
func (l *lab) etc() string {
	l.t.Helper()
	d := l.state().Next()
	return filepath.Join(l.sysroot, "ostree/deploy/testos/deploy", strings.TrimPrefix(d.ID, "testos-"), "etc")
}

func TestSuite(t *testing.T) {
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		l := newLab(t)
		return &osupdatetest.Fixture{Config: l.cfg, Snapshot: l.snapshot, Reader: "ostree", Prose: true, Mutator: "ostree", Upgrades: "'admin upgrade'*"}
	})
}

// TestLifeCycle walks a host from its first system to another branch and back.
func TestLifeCycle(t *testing.T) {
	l := newLab(t)
	s := l.state()
	if len(s.Deployments) != 1 || s.Tracked != "testos:"+stable || !slices.Equal(s.Next().Kargs, []string{"root=LABEL=rootfs"}) {
		t.Fatalf("first state: %+v", s)
	}
	l.refused(osupdate.Request{Verb: osupdate.Rollback}, osupdate.ErrNoRollback)

	u, err := l.host().Check(t.Context())
	if err != nil || u.Update == nil || u.Update.Version != "42.2" {
		t.Fatalf("check: %+v, %v", u, err)
	}
	if err := os.WriteFile(l.etc()+"/app.conf", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.etc()+"/local.conf", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	diff, err := l.host().EtcDiff(t.Context())
	if err != nil || !slices.Equal(diff, []string{"A local.conf", "M app.conf"}) {
		t.Fatalf("etc-diff: %q, %v", diff, err)
	}

	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true}); res.After.Version != "42.1" {
		t.Errorf("a download changed what boots: %+v", res.After)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.2" {
		t.Fatalf("upgrade: %+v", res)
	}
	if data, err := os.ReadFile(l.etc() + "/app.conf"); err != nil || string(data) != "mine\n" {
		t.Errorf("the change in /etc did not come along: %q, %v", data, err)
	}
	if u, err := l.host().Check(t.Context()); err != nil || u.Update != nil {
		t.Errorf("check after the upgrade: %+v, %v", u, err)
	}
	files, err := l.host().Diff(t.Context(), "", "")
	if err != nil || !slices.Equal(files.Changed, []string{"/usr/bin/hello"}) || files.From != "42.1" || files.To != "42.2" {
		t.Errorf("diff: %+v, %v", files, err)
	}

	l.do(osupdate.Request{Verb: osupdate.Pin, Target: "1"})
	if res := l.do(osupdate.Request{Verb: osupdate.Pin, Target: "1"}); res.Unchanged == "" {
		t.Error("pinning twice is no change")
	}
	if !l.state().Deployments[1].Pinned {
		t.Fatal("not pinned")
	}
	l.refused(osupdate.Request{Verb: osupdate.Pin, Target: "9"}, osupdate.ErrNotFound)
	l.do(osupdate.Request{Verb: osupdate.Unpin, Target: "1"})

	l.do(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"quiet"}, Delete: []string{"root=LABEL=rootfs"}})
	if k := l.state().Next().Kargs; !slices.Equal(k, []string{"quiet"}) {
		t.Errorf("kernel arguments: %q", k)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Kargs, Append: []string{"quiet"}}); res.Unchanged == "" {
		t.Error("appending twice is no change")
	}

	l.publish(next, "43.1")
	l.refused(osupdate.Request{Verb: osupdate.Switch, Target: "nowhere:" + next}, osupdate.ErrNotFound)
	l.refused(osupdate.Request{Verb: osupdate.Switch, Target: "testos:testos/x86_64/none"}, osupdate.ErrNotFound)
	if res := l.do(osupdate.Request{Verb: osupdate.Switch, Target: "testos:" + next}); res.After.Version != "43.1" || res.After.Tracks != "testos:"+next {
		t.Fatalf("switch: %+v", res.After)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Switch, Target: "testos:" + next}); res.Unchanged == "" {
		t.Error("switching twice is no change")
	}
	l.do(osupdate.Request{Verb: osupdate.Switch, Target: stable})

	// Back to a named version of the history, and forward again: the branch stays.
	l.publish(stable, "42.3")
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.3" {
		t.Fatalf("upgrade: %+v", res.After)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade, Target: "42.2", AllowDowngrade: true}); res.After.Version != "42.2" {
		t.Fatalf("upgrade to a version: %+v", res.After)
	}
	if s := l.state(); s.Tracked != "testos:"+stable {
		t.Errorf("follows %q", s.Tracked)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.3" {
		t.Errorf("the host is stuck on %s", res.After.Version)
	}
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, Target: "41.0"}, osupdate.ErrNotFound)
	l.refused(osupdate.Request{Verb: osupdate.Cleanup, Parts: []string{"rollback"}}, osupdate.ErrUnsafe)
	l.do(osupdate.Request{Verb: osupdate.Cleanup})
	if len(l.state().Deployments) < 2 {
		t.Error("the way back is gone")
	}
}

// TestRollbackKeepsTheBranch: a rollback by bare checksum would detach the host.
func TestRollbackKeepsTheBranch(t *testing.T) {
	l := newLab(t)
	l.do(osupdate.Request{Verb: osupdate.Upgrade})
	if res := l.do(osupdate.Request{Verb: osupdate.Rollback}); res.After.Version != "42.1" || res.After.Tracks != "testos:"+stable {
		t.Fatalf("rollback: %+v", res.After)
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Rollback, Target: "0"}); res.Unchanged == "" {
		t.Error("it boots next already")
	}
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.2" {
		t.Errorf("after the rollback the host sees no update: %+v", res)
	}
}

func TestDowngradeRefused(t *testing.T) {
	l := newLab(t)
	l.do(osupdate.Request{Verb: osupdate.Upgrade})
	l.publish(stable, "42.0", "--timestamp=2020-01-01")
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrDowngrade)
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade, AllowDowngrade: true}); res.After.Version != "42.0" {
		t.Errorf("allowed, and did not: %+v", res.After)
	}
}

func TestUnsignedRefused(t *testing.T) {
	l := newLab(t)
	l.repo("config", "set", `remote "testos".gpg-verify`, "true")
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrSignature)
	if _, err := l.host().Check(t.Context()); !errors.Is(err, osupdate.ErrSignature) {
		t.Errorf("check: %v", err)
	}
	if s := l.state(); len(s.Deployments) != 1 { // the text form ends with an error at it
		t.Errorf("the status of an unsigned system: %+v", s)
	}
}

func TestEtcConflictRefused(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile(l.etc()+"/app.conf", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.dir + "/tree/usr/etc/app.conf"); err != nil {
		t.Fatal(err)
	}
	l.mkdir("tree/usr/etc/app.conf")
	l.write("tree/usr/etc/app.conf/part", "x")
	l.publish(stable, "42.3")
	if err := l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrEtcMerge); !strings.Contains(err.Error(), "app.conf") {
		t.Errorf("%v does not name the file", err)
	}
}

func TestRemoteGone(t *testing.T) {
	l := newLab(t)
	if err := os.Rename(l.dir+"/remote", l.dir+"/gone"); err != nil {
		t.Fatal(err)
	}
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrNetwork)
	if _, err := l.host().Check(t.Context()); !errors.Is(err, osupdate.ErrNetwork) {
		t.Errorf("check: %v", err)
	}
}

func TestCorruptObject(t *testing.T) {
	l := newLab(t)
	objects, err := filepath.Glob(l.dir + "/remote/objects/*/*.filez")
	if err != nil || len(objects) == 0 {
		t.Fatal("no objects", err)
	}
	for _, o := range objects {
		if err := os.WriteFile(o, []byte("rubbish"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrCorrupt)
}

// TestBusy: a real OFD lock on the sysroot is seen, named and waited for, and
// ostree itself is not left hanging when it comes between our look and its start.
func TestBusy(t *testing.T) {
	l := newLab(t)
	f, err := os.OpenFile(l.sysroot+"/ostree/lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	grab := func() {
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
			t.Error(err)
		}
	}
	grab()
	if err := l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrBusy); !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("%v does not name process %d", err, os.Getpid())
	}
	if s := l.state(); s.Busy == nil {
		t.Error("the status does not say that the host is busy")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	l.do(osupdate.Request{Verb: osupdate.Upgrade})

	if f, err = os.OpenFile(l.sysroot+"/ostree/lock", os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		t.Fatal(err)
	}
	l.publish(stable, "42.9")
	l.cfg.Trace = func(event string) {
		if event == "begun" {
			grab()
		}
	}
	_, err = l.host().Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
	if !errors.Is(err, osupdate.ErrBusy) {
		t.Errorf("%v\n%s", err, said(err))
	}
}

// TestBuild commits a tree of the owner's own, boots it next, and upgrades to
// the next one that is built.
func TestBuild(t *testing.T) {
	l := newLab(t)
	for n, text := range []string{"mine", "mine again"} {
		l.write("tree/usr/bin/hello", text)
		res, err := l.host().Build(t.Context(), l.dir+"/tree", false)
		if err != nil {
			t.Fatalf("%v\n%s", err, said(err))
		}
		data, err := os.ReadFile(filepath.Dir(l.etc()) + "/usr/bin/hello")
		if err != nil || string(data) != text || res.After.Tracks != "tbx/local" {
			t.Errorf("build %d: %q, %v, %+v", n, data, err, res.After)
		}
		again := l.boots()
		if res, err := l.host().Build(t.Context(), l.dir+"/tree", false); err != nil || res.Unchanged == "" || l.boots() != again {
			t.Errorf("the same tree once more: %+v, %v", res, err)
		}
	}
	if len(l.state().Deployments) < 2 {
		t.Error("the way back is gone")
	}
	if u, err := l.host().Check(t.Context()); err != nil || u.Update != nil {
		t.Errorf("check: %+v, %v", u, err)
	}
	entries, err := l.host().History()
	if err != nil || len(entries) == 0 || entries[0].Request.Verb != osupdate.BuildVerb {
		t.Errorf("the history does not tell a build: %+v, %v", entries, err)
	}
	l.mkdir("empty")
	before := l.snapshot()
	if _, err := l.host().Build(t.Context(), l.dir+"/empty", false); !errors.Is(err, osupdate.ErrNotFound) || len(fail.Hints(err)) == 0 {
		t.Errorf("a directory without a kernel: %v", err)
	}
	if l.snapshot() != before {
		t.Error("what was refused changed the host")
	}
}

// TestBuildImage builds from a Containerfile with the real podman, boots that
// next, builds the next one, and goes back.
func TestBuildImage(t *testing.T) {
	l := newLab(t)
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	l.cfg.Tools.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + os.Getenv("XDG_RUNTIME_DIR")}
	var mu sync.Mutex
	shown := ""
	l.cfg.Output = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		shown += line + "\n"
	}
	l.run("podman", "import", os.Getenv("TBX_IMAGES")+"/busybox.tar", "localhost/tbx-test-busybox")
	l.mkdir("src/etc")
	l.mkdir("src/modules/5.10.0")
	l.write("src/modules/5.10.0/vmlinuz", "a kernel")
	l.write("src/modules/5.10.0/initramfs.img", "an initramfs")
	l.write("src/etc/app.conf", "of the image\n")
	// A name of an argument of tar, one like /etc, and two names of one file.
	file := `FROM localhost/tbx-test-busybox
COPY modules /usr/lib/modules
COPY etc/app.conf /etc/app.conf
RUN mkdir -p /usr/bin && echo %s >/usr/bin/hello && ln /etc/app.conf /etc/same.conf && mkdir -p /etcetera /sysroot /usr/lib && touch /etcetera/x && echo ID=mine >/usr/lib/os-release && echo built it
`
	for _, text := range []string{"one", "two"} {
		l.write("src/Containerfile", fmt.Sprintf(file, text))
		res, err := l.host().Build(t.Context(), l.dir+"/src", false)
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, shown, said(err))
		}
		root := filepath.Dir(l.etc())
		for name, want := range map[string]string{"usr/bin/hello": text + "\n", "etc/app.conf": "of the image\n", "usr/etc/same.conf": "of the image\n", "etcetera/x": ""} {
			if data, err := os.ReadFile(root + "/" + name); err != nil || string(data) != want {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		if res.After.Tracks != "tbx/local" || !strings.HasPrefix(res.After.Version, "local.") || !strings.Contains(shown, "built it\n") {
			t.Errorf("%+v\n%s", res.After, shown)
		}
		if res, err := l.host().Build(t.Context(), l.dir+"/src", false); err != nil || res.Unchanged == "" {
			t.Errorf("the same image once more: %+v, %v", res, err)
		}
	}
	if left, err := filepath.Glob(l.cfg.StateDir + "/scratch*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if out := l.run("podman", "ps", "--all", "--quiet", "--filter", "name=tbx-host-build"); out != "" {
		t.Errorf("the container is left: %s", out)
	}
	l.do(osupdate.Request{Verb: osupdate.Rollback})
	if data, err := os.ReadFile(filepath.Dir(l.etc()) + "/usr/bin/hello"); err != nil || string(data) != "one\n" {
		t.Errorf("rolled back to %q, %v", data, err)
	}

	// What cannot boot, or cannot be built, is no system of this host.
	for name, bad := range map[string]struct {
		file string
		want error
	}{
		"no kernel":       {"FROM localhost/tbx-test-busybox\nRUN mkdir -p /etc && touch /etc/three\n", osupdate.ErrNotFound},
		"a command fails": {"FROM localhost/tbx-test-busybox\nRUN exit 3\n", osupdate.ErrBackend},
		"bad syntax":      {"FORM x\n", osupdate.ErrBackend},
		"no such base":    {"FROM localhost/tbx-test-none\n", nil},
	} {
		l.write("src/Containerfile", bad.file)
		before := l.boots()
		_, err := l.host().Build(t.Context(), l.dir+"/src", false)
		if err == nil || bad.want != nil && !errors.Is(err, bad.want) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v\n%s", name, err, said(err))
		}
		t.Logf("%s: %v; hints %q", name, err, fail.Hints(err))
		if l.boots() != before {
			t.Errorf("%s: it changed what boots", name)
		}
	}
	if u, err := l.host().Check(t.Context()); err != nil || u.Update != nil && u.Update.Version == "" {
		t.Errorf("the host follows what cannot boot: %+v, %v", u, err)
	}
}

// overHTTP makes the remote one that is served by handle, which gets the file
// server as the way to answer well.
func (l *lab) overHTTP(handle func(w http.ResponseWriter, r *http.Request, files http.Handler)) *httptest.Server {
	l.t.Helper()
	files := http.FileServer(http.Dir(l.dir + "/remote"))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, files) }))
	l.t.Cleanup(srv.Close)
	l.repo("config", "set", `remote "testos".url`, srv.URL)
	return srv
}

// TestNetwork: gone, failing, stalled, and slow but alive.
func TestNetwork(t *testing.T) {
	l := newLab(t)
	big := make([]byte, 400<<10)
	if _, err := rand.Read(big); err != nil {
		t.Fatal(err)
	}
	l.write("tree/usr/lib/big", string(big))
	l.publish(stable, "42.3")
	srv := l.overHTTP(func(w http.ResponseWriter, r *http.Request, files http.Handler) { files.ServeHTTP(w, r) })
	if u, err := l.host().Check(t.Context()); err != nil || u.Update == nil || u.Update.Version != "42.3" {
		t.Fatalf("over HTTP: %+v, %v", u, err)
	}
	srv.Close()
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrNetwork)
	if _, err := l.host().Check(t.Context()); !errors.Is(err, osupdate.ErrNetwork) {
		t.Errorf("check: %v", err)
	}

	l.overHTTP(func(w http.ResponseWriter, r *http.Request, files http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrNetwork)

	l.cfg.Tools.Idle = time.Second
	object := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".filez") }
	over := make(chan struct{})
	l.overHTTP(func(w http.ResponseWriter, r *http.Request, files http.Handler) {
		if object(r) {
			w.Header().Set("Content-Length", "1000000")
			w.Write([]byte("a start"))
			w.(http.Flusher).Flush()
			<-over
			return
		}
		files.ServeHTTP(w, r)
	})
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrTimeout)
	close(over)

	l.overHTTP(func(w http.ResponseWriter, r *http.Request, files http.Handler) {
		if !object(r) {
			files.ServeHTTP(w, r)
			return
		}
		data, err := os.ReadFile(l.dir + "/remote" + r.URL.Path)
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		for part := range slices.Chunk(data, 40<<10) {
			w.Write(part)
			w.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	})
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.3" {
		t.Errorf("slow but alive: %+v", res.After)
	}
}

// TestSignatures with real keys: the right one, a wrong one, and back.
func TestSignatures(t *testing.T) {
	l := newLab(t)
	home := l.dir + "/gpg"
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.try("gpgconf", "--homedir", home, "--kill", "all") })
	for _, who := range []string{"maker@example.org", "thief@example.org"} {
		l.run("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-gen-key", who, "default", "default", "never")
	}
	l.run("gpg", "--homedir", home, "--output", l.dir+"/maker.gpg", "--export", "maker@example.org")
	l.repo("remote", "gpg-import", "testos", "-k", l.dir+"/maker.gpg")
	l.repo("config", "set", `remote "testos".gpg-verify`, "true")
	sign := func(who string) []string { return []string{"--gpg-homedir=" + home, "--gpg-sign=" + who} }
	l.publish(stable, "42.3", sign("thief@example.org")...)
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrSignature)
	if _, err := l.host().Check(t.Context()); !errors.Is(err, osupdate.ErrSignature) {
		t.Errorf("check: %v", err)
	}
	l.publish(stable, "42.4", sign("maker@example.org")...)
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.4" {
		t.Errorf("signed by its maker: %+v", res.After)
	}
}

// TestH68_OnceFromADirectory: an update from a medium, by the keys of the remote that is
// followed, which stays followed.
func TestH68_OnceFromADirectory(t *testing.T) {
	l := newLab(t)
	medium := l.dir + "/medium"
	l.run("ostree", "--repo="+medium, "init", "--mode=archive")
	l.run("ostree", "--repo="+medium, "pull-local", l.dir+"/remote", stable)
	if err := os.Rename(l.dir+"/remote", l.dir+"/away"); err != nil {
		t.Fatal(err)
	}
	l.refused(osupdate.Request{Verb: osupdate.Upgrade}, osupdate.ErrNetwork)
	once := osupdate.Request{Verb: osupdate.Upgrade, From: medium}
	if res := l.do(once); res.After.Version != "42.2" || res.After.Tracks != "testos:"+stable {
		t.Errorf("%+v", res.After)
	}
	if res := l.do(once); res.Unchanged == "" {
		t.Errorf("twice is not once: %+v", res.After)
	}
	if err := os.Rename(l.dir+"/away", l.dir+"/remote"); err != nil {
		t.Fatal(err)
	}
	l.publish(stable, "42.3")
	if res := l.do(osupdate.Request{Verb: osupdate.Upgrade}); res.After.Version != "42.3" {
		t.Errorf("the remote is not followed any more: %+v", res.After)
	}
	l.refused(once, osupdate.ErrDowngrade) // the medium is older by now
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, From: l.dir}, osupdate.ErrNotFound)
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, From: medium, Target: "42.2"}, fail.Usage)
	l.refused(osupdate.Request{Verb: osupdate.Upgrade, From: medium + "/../medium"}, fail.Usage)
	l.repo("config", "set", `remote "testos".gpg-verify`, "true")
	l.run("ostree", "--repo="+medium, "commit", "-b", stable, "--tree=dir="+l.dir+"/tree", "--add-metadata-string=version=42.9")
	l.refused(once, osupdate.ErrSignature)
}

// TestH71_VersionOfAnImage: a commit that was made of an image has no version of its
// own; the image's configuration, which is in the commit, has it and the date.
func TestH71_VersionOfAnImage(t *testing.T) {
	l := newLab(t)
	for config, want := range map[string]string{
		`{"created":"2026-11-30T22:07:29Z","config":{"Labels":{"version":"3"}}}`:                                            "3",
		`{"created":"2026-11-30T22:07:29Z","config":{"Labels":{"org.opencontainers.image.version":"4.1","version":"old"}}}`: "4.1",
		`{"created":"2026-11-30T22:07:29Z","config":{}}`:                                                                    "", `no JSON`: "",
	} {
		l.n++
		l.write("tree/usr/bin/hello", fmt.Sprintf("hello %d", l.n))
		commit := l.run("ostree", "--repo="+l.dir+"/remote", "commit", "-b", stable, "--tree=dir="+l.dir+"/tree", "--add-metadata-string=ostree.container.image-config="+config)
		got := ostreefamily.ReadCommit(l.dir+"/remote", commit)
		if got.Version != want || got.Time == nil || strings.HasPrefix(config, "{") && got.Time.Year() != 2026 {
			t.Errorf("%s: %+v", config, got)
		}
	}
}
