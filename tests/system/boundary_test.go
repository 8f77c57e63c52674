//go:build system

package system_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Hostile programs in real isolated toolboxes, that have prepared a home, an image or
// a share before a stop, start or rename, by tbx or by podman itself.

// cell is an isolated toolbox with a directory of its own in the user's home.
type cell struct {
	t    *testing.T
	name string
	dir  string // with the share p, to change, and the share ro, to read
}

// newCell makes it; p is below a directory that is the toolbox's own in its home.
func newCell(t *testing.T, name, img string, flags ...string) *cell {
	t.Helper()
	home, err := filepath.EvalSymlinks(os.Getenv("HOME"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{t, prefix + name, filepath.Join(home, prefix+name)}
	os.RemoveAll(c.dir)
	for _, d := range []string{"src/p", "ro"} {
		if err := os.MkdirAll(filepath.Join(c.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"create", "--quiet", "--isolated", "--image", img, "--share", c.dir + "/src/p", "--share", c.dir + "/ro:ro"}, flags...)
	tbx(t, append(args, c.name)...)
	t.Cleanup(func() {
		exec.Command("tbx", "rm", "--force", c.name).Run()
		os.RemoveAll(c.dir)
	})
	return c
}

// inside runs a script in the toolbox, as its user or root.
func (c *cell) inside(root bool, script string) string {
	c.t.Helper()
	args := []string{"run", "--workdir", "/"}
	if root {
		args = append(args, "--root")
	}
	return tbx(c.t, append(args, c.name, "--", "sh", "-ec", script)...)
}

// try runs a program on the host and returns what it said.
func try(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = passed()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// running says what podman thinks.
func (c *cell) running() bool {
	out, _ := try("podman", "inspect", "--format", "{{.State.Running}}", c.name)
	return strings.TrimSpace(out) == "true"
}

// refused says that the toolbox is not entered, and not left running, with a sentence
// that has want in it.
func (c *cell) refused(want string) {
	c.t.Helper()
	out, err := try("tbx", "run", "--workdir", "/", c.name, "--", "true")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 125 || !regexp.MustCompile(want).MatchString(out) {
		c.t.Errorf("it is entered, or not for that reason: %v\n%s", err, out)
	}
	if c.running() {
		c.t.Error("it runs on")
	}
	if c.bridged() {
		c.t.Error("the bridge to the host is open")
	}
}

// bridged says whether the agent serves the toolbox.
func (c *cell) bridged() bool {
	data, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), ".config/tbx/toolboxes", c.name+".toml"))
	id := regexp.MustCompile(`(?m)^id = "([0-9a-f]{12})`).FindSubmatch(data)
	if err != nil || id == nil {
		c.t.Errorf("the specification: %v", err)
		return false
	}
	sockets, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tbx/bridge-*/box", string(id[1]), "sock"))
	for _, s := range sockets {
		if conn, err := net.Dial("unixpacket", s); err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// boxHash names the version of tbx-box that is tested.
func boxHash(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(os.Getenv("TBX_BIN"), "tbx-box"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// plant is a program that writes down with which rights it was run, where, and by
// which arguments, wherever it finds a directory that it may write to.
const plant = `#!/bin/sh
for d in "$(dirname "$0")" %[1]s/src/p /run/tbx/box "$HOME"; do
  echo "ran as $(id -u) $1 $(grep CapEff /proc/self/status | tr -d '\t') $(grep ^0:: /proc/self/cgroup) $(hostname)" >>"$d/ran" && break
done 2>/dev/null
[ "$1" != pause ] || exec sleep 600
`

// ran returns what plants wrote, on the host too.
func (c *cell) ran() string {
	var all []string
	for _, dir := range []string{c.dir + "/src/p", c.dir + "/src/was", os.Getenv("HOME") + "/.local/share/tbx/box/" + boxHash(c.t), os.Getenv("HOME")} {
		if data, err := os.ReadFile(filepath.Join(dir, "ran")); err == nil {
			all = append(all, string(data))
		}
	}
	return strings.Join(all, "")
}

// harmless says that no plant ran as more than what the toolbox's user may be.
func (c *cell) harmless() {
	c.t.Helper()
	for _, line := range strings.Split(c.ran(), "\n") {
		if line != "" && (!strings.HasPrefix(line, fmt.Sprintf("ran as %d pause CapEff:0000000000000000 ", os.Getuid())) || !strings.Contains(line, "0::/ ")) {
			c.t.Errorf("a plant ran: %s", line)
		}
	}
	box := filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box", boxHash(c.t), "tbx-box")
	if want, err := os.ReadFile(filepath.Join(os.Getenv("TBX_BIN"), "tbx-box")); err != nil {
		c.t.Error(err)
	} else if got, err := os.ReadFile(box); err != nil || string(got) != string(want) {
		c.t.Errorf("%s is another program (%v)", box, err)
	}
}

// TestX8_LinkInTheHome: the user inside puts a link in the place of a share, which
// leads to tbx-box, and a program of that name into the share.
func TestX8_LinkInTheHome(t *testing.T) {
	t.Parallel()
	hash := boxHash(t)
	for _, way := range []struct{ name, link string }{
		{"over tbx-box", "/run/tbx/box/" + hash},
		{"over all versions", "/run/tbx/box"},
		{"over the bridge", "/run/tbx/host"},
		{"over /run/tbx", "/run/tbx"},
		{"by a link of a link", "../hop"},
		{"into what is shared to read", "../ro"},
		{"into the image", "/usr/local"},
		{"nowhere", "/made/by/the/runtime"},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, "x8-"+strings.NewReplacer(" ", "-", "/", "").Replace(way.name), image("busybox"))
			c.inside(false, fmt.Sprintf(`cd %s
				ln -s /run/tbx/box/%s hop
				mv src was && mkdir src && ln -s %s src/p`, c.dir, hash, way.link))
			for _, f := range []string{"tbx-box", hash + "/tbx-box", "box/" + hash + "/tbx-box"} {
				must(t, os.MkdirAll(filepath.Join(c.dir, "src/p", filepath.Dir(f)), 0o755))
				must(t, os.WriteFile(filepath.Join(c.dir, "src/p", f), fmt.Appendf(nil, plant, c.dir), 0o755))
			}
			for _, start := range []string{"tbx", "podman", "podman"} {
				if _, err := try("podman", "stop", "--time", "0", c.name); err != nil {
					t.Fatal(err)
				}
				if start == "podman" {
					try("podman", "start", c.name) // which may fail, or end
				}
				c.refused(`not as it was made|cannot be started: `)
				c.harmless()
			}
			// Without the link it is a toolbox again, and what is in it is there.
			volume := strings.TrimSpace(first(try("podman", "inspect", "--format", `{{range .Mounts}}{{if eq .Type "volume"}}{{.Source}}{{end}}{{end}}`, c.name)))
			rel, _ := filepath.Rel(os.Getenv("HOME"), c.dir)
			if out, err := try("podman", "unshare", "sh", "-c", "cd "+filepath.Join(volume, rel)+" && rm -r src && mv was src"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			must(t, os.RemoveAll(c.dir+"/src/p/ran"))
			if out := c.inside(false, "test -f "+c.dir+"/src/p/tbx-box && echo there"); !strings.Contains(out, "there") {
				t.Error(out)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func first(out string, _ error) string { return out }

// TestX8_LinksOfRoot: root inside may change all of the image's directories, also
// those that lead to tbx's own places.
func TestX8_LinksOfRoot(t *testing.T) {
	t.Parallel()
	hash := boxHash(t)
	for _, way := range []struct{ name, script string }{
		{"run elsewhere", `mkdir -p $HOME/run && mv /run /run.was && ln -s $HOME/run /run`},
		{"run tbx elsewhere", `mkdir -p $HOME/tbx && mv /run/tbx /run/was && ln -s $HOME/tbx /run/tbx`},
		{"run tbx in the share", `mkdir -p $DIR/src/p/tbx/box/$HASH && cp $DIR/src/p/plant $DIR/src/p/tbx/box/$HASH/tbx-box && mv /run/tbx /run/was && ln -s $DIR/src/p/tbx /run/tbx`},
		{"box in the share", `mkdir -p $DIR/src/p/box/$HASH && cp $DIR/src/p/plant $DIR/src/p/box/$HASH/tbx-box && mv /run/tbx /run/was && mkdir /run/tbx && ln -s $DIR/src/p/box /run/tbx/box`},
		{"the home on tbx", `mv /home /home.was && mkdir /home && ln -s /run/tbx /home/${HOME##*/}`},
		{"the homes elsewhere", `mv /home /homes && ln -s /homes /home`},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := newCell(t, "x8-root-"+strings.ReplaceAll(way.name, " ", "-"), image("busybox"))
			must(t, os.WriteFile(c.dir+"/src/p/plant", fmt.Appendf(nil, plant, c.dir), 0o755))
			c.inside(true, "export DIR="+c.dir+" HASH="+hash+" HOME="+filepath.Dir(c.dir)+"\n"+way.script)
			for _, start := range []string{"tbx", "podman"} {
				try("podman", "stop", "--time", "0", c.name)
				if start == "podman" {
					try("podman", "start", c.name)
				}
				c.refused(`not as it was made|cannot be (started|set up)`)
				c.harmless()
			}
		})
	}
}

// TestX8_RenamedWhileItRuns: root inside makes a tbx-box of its own, in place of the
// one that is mounted, and the owner gives the running toolbox another name.
func TestX8_RenamedWhileItRuns(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x8-rename", image("busybox"))
	must(t, os.WriteFile(c.dir+"/src/p/plant", fmt.Appendf(nil, plant, c.dir), 0o755))
	c.inside(true, fmt.Sprintf("mv /run/tbx /run/was && mkdir -p /run/tbx/box/%[1]s && cp %[2]s/src/p/plant /run/tbx/box/%[1]s/tbx-box", boxHash(t), c.dir))
	tbx(t, "rename", c.name, c.name+"-new")
	c.name += "-new"
	c.refused(`is not mounted at /run/tbx/box but at /run/was/box`)
	c.harmless()
	// As before the change: it may be renamed and entered while it runs.
	ok := newCell(t, "x8-rename-ok", image("busybox"))
	pid := ok.inside(false, began)
	tbx(t, "rename", ok.name, ok.name+"-new")
	ok.name += "-new"
	if again := ok.inside(false, began); lastWord(again) != lastWord(pid) {
		t.Errorf("it was started anew: %s, %s", pid, again)
	}
}

func lastWord(s string) string {
	f := strings.Fields(s)
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1]
}

// TestX8_HostileImage: an image that knows the user's home and a share's path has the
// link in it, and what is shared has the program: at the first start.
func TestX8_HostileImage(t *testing.T) {
	t.Parallel()
	hash, home := boxHash(t), os.Getenv("HOME")
	name := prefix + "x8-image"
	work := t.TempDir()
	must(t, os.WriteFile(work+"/Containerfile", fmt.Appendf(nil, "FROM %s\nRUN mkdir -p %[2]s/%[3]s/src && ln -s /run/tbx/box/%[4]s %[2]s/%[3]s/src/p && ln -s /run/tbx/box/%[4]s %[2]s/%[3]s/ro\n", image("busybox"), home, name, hash), 0o644))
	if out, err := try("podman", "build", "--quiet", "--tag", "localhost/"+name+":1", work); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { try("podman", "rmi", "--force", "localhost/"+name+":1") })
	c := newCell(t, "x8-image", "localhost/"+name+":1")
	for _, d := range []string{"/src/p", "/ro"} {
		must(t, os.WriteFile(c.dir+d+"/tbx-box", fmt.Appendf(nil, plant, c.dir), 0o755))
	}
	c.refused(`not as it was made|cannot be started: `)
	c.harmless()
	try("podman", "start", c.name)
	c.refused(`not as it was made|cannot be started: `)
	c.harmless()
}

// TestX7_PlantInTheHome: what toolboxes run as tbx-box, in the user's home, is put
// right before it is run, and host commands are run by the installed program.
func TestX7_PlantInTheHome(t *testing.T) {
	// Not beside other tests, which would run the plant as well.
	box := filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box", boxHash(t), "tbx-box")
	for mode, flags := range map[string][]string{"isolated": {"--isolated"}, "open": nil} {
		name := prefix + "x7-" + mode
		if out, err := try("tbx", append(append([]string{"create", "--quiet", "--image", image("busybox")}, flags...), name)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Cleanup(func() { try("tbx", "rm", "--force", name) })
		for _, spoil := range []func() error{
			func() error { return os.WriteFile(box+".new", []byte("#!/bin/sh\necho planted\n"), 0o755) },
			func() error { return os.Symlink("/bin/sh", box+".new") },
			func() error { return unix.Mkfifo(box+".new", 0o755) },
		} {
			try("tbx", "stop", name)
			os.Remove(box + ".new")
			must(t, errors.Join(spoil(), os.Rename(box+".new", box)))
			out, err := try("tbx", "run", "--workdir", "/", name, "--", "sh", "-c", "cat /proc/1/comm; echo fine")
			if err != nil || !strings.Contains(out, "fine") || strings.Contains(out, "planted") {
				t.Errorf("%s: %v\n%s", mode, err, out)
			}
			want, _ := os.ReadFile(filepath.Join(os.Getenv("TBX_BIN"), "tbx-box"))
			if got, err := os.ReadFile(box); err != nil || string(got) != string(want) {
				t.Errorf("%s: the plant is still there (%v)", mode, err)
			}
		}
	}
	// The program that runs host commands, as the agent started it.
	out, err := try("tbx", "run", prefix+"x7-open", "--", "sh", "-c", "/run/tbx/box/shims/tbx host-exec sh -c 'readlink /proc/$PPID/exe'")
	if err != nil || !strings.Contains(out, os.Getenv("TBX_BIN")+"/tbx-box") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestX9_Exchanged: a directory that is shared is exchanged for a link to another one,
// as fast as the kernel can, while the owner starts the toolbox, by tbx and by podman.
func TestX9_Exchanged(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x9", image("busybox"))
	secret := c.dir + "/secret"
	must(t, os.Mkdir(secret, 0o700))
	must(t, os.WriteFile(secret+"/id", []byte("hunter2\n"), 0o600))
	must(t, os.WriteFile(c.dir+"/src/p/id", []byte("harmless\n"), 0o600))
	share, link := c.dir+"/src/p", c.dir+"/src/link"
	read := []string{"cat", share + "/id"}

	// At rest. That podman itself follows it shows that there is something to see.
	must(t, os.Symlink(secret, link))
	exchange := func() error { return unix.Renameat2(unix.AT_FDCWD, share, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) }
	must(t, exchange())
	if out, err := try("podman", "run", "--rm", "--volume", share+":/mnt", image("busybox"), "cat", "/mnt/id"); err != nil || !strings.Contains(out, "hunter2") {
		t.Errorf("podman does not follow the link: %v\n%s", err, out)
	}
	for _, root := range []string{"", "--user=0"} {
		try("podman", "start", c.name)
		args := []string{"exec", c.name}
		if root != "" {
			args = []string{"exec", root, c.name}
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			if out, _ := try("podman", append(args, read...)...); strings.Contains(out, "hunter2") {
				t.Fatal("podman start shows another directory")
			}
		}
	}
	if c.running() {
		t.Error("it runs with another directory")
	}
	if out, _ := try("tbx", "logs", c.name); !strings.Contains(out, "is no longer the same directory as when the toolbox was made") {
		t.Errorf("it does not say why it ended: %s", out)
	}
	c.refused("is no longer the same directory: .*/secret")
	must(t, exchange())
	if out := tbx(t, append([]string{"run", "--workdir", "/", c.name, "--"}, read...)...); !strings.Contains(out, "harmless") {
		t.Errorf("put back, it is not there: %s", out)
	}

	// While it is started.
	stop, stopped, swaps := make(chan bool), make(chan bool), 0
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if exchange() == nil {
					swaps++
				}
			}
		}
	}()
	right, no := 0, 0
	for i := range 12 {
		try("podman", "stop", "--time", "0", c.name)
		out, err := "", error(nil)
		if i%3 == 2 {
			try("podman", "start", c.name)
			out, _ = try("podman", append([]string{"exec", c.name}, read...)...)
		}
		if !strings.Contains(out, "hunter2") {
			out, err = try("tbx", append([]string{"run", "--workdir", "/", c.name, "--"}, read...)...)
		}
		switch {
		case strings.Contains(out, "hunter2"):
			t.Fatalf("start %d shows another directory", i)
		case err == nil && strings.Contains(out, "harmless"):
			right++
		case err != nil:
			no++
		}
	}
	close(stop)
	<-stopped
	t.Logf("%d exchanges, %d starts with the right directory, %d refused", swaps, right, no)
	if swaps < 1000 {
		t.Errorf("only %d exchanges", swaps)
	}
	if share := c.dir + "/src/p"; right+no != 12 {
		t.Errorf("%s: %d starts of 12", share, right+no)
	}
}

// TestX9_InAnothersShare: what an isolated toolbox may change holds no other's share,
// whichever is made first.
func TestX9_InAnothersShare(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x9-in", image("busybox"))
	must(t, os.MkdirAll(c.dir+"/src/p/job", 0o755))
	for _, share := range []string{"/src/p/job", "/src/p/job:ro", "/src"} {
		out, err := try("tbx", "create", "--isolated", "--image", image("busybox"), "--share", c.dir+share, c.name+"-2")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, "toolbox "+c.name) {
			t.Errorf("%s: %v\n%s", share, err, out)
			try("tbx", "rm", "--force", c.name+"-2")
		}
	}
	for _, share := range []string{"/src/p", "/src:ro", "/ro"} {
		tbx(t, "create", "--quiet", "--isolated", "--image", image("busybox"), "--share", c.dir+share, c.name+"-2")
		tbx(t, "rm", "--force", c.name+"-2")
	}
}

// began says when the toolbox's first process did.
const began = "cut -d ' ' -f 22 /proc/1/stat"

// TestX8_Upgrade: another version of tbx-box comes while an isolated toolbox runs, and
// while one is stopped that has prepared for it.
func TestX8_Upgrade(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x8-upgrade", image("busybox"))
	ns := lastWord(c.inside(false, began))
	if !c.bridged() {
		t.Error("the probe of the bridge sees nothing")
	}
	next := t.TempDir() // a tbx of its own, with another tbx-box
	for _, p := range []string{"tbx", "tbx-podman", "tbx-box"} {
		data, err := os.ReadFile(filepath.Join(os.Getenv("TBX_BIN"), p))
		must(t, err)
		if p == "tbx-box" {
			data = append(data, "another version"...)
		}
		must(t, os.WriteFile(filepath.Join(next, p), data, 0o755))
	}
	data, err := os.ReadFile(filepath.Join(next, "tbx-box"))
	must(t, err)
	sum := sha256.Sum256(data)
	version := hex.EncodeToString(sum[:8])
	t.Cleanup(func() { os.RemoveAll(filepath.Join(os.Getenv("HOME"), ".local/share/tbx/box", version)) })
	upgraded := func(args ...string) (string, error) { return try(filepath.Join(next, "tbx"), args...) }
	enter := func(what string) string {
		t.Helper()
		out, err := upgraded("run", "--workdir", "/", c.name, "--", "sh", "-c", began)
		if err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
		return lastWord(out)
	}
	if got := enter("running"); got != ns {
		t.Errorf("it was started anew: %s", got)
	}
	if out, err := upgraded("rename", c.name, c.name+"-new"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.name += "-new"
	if got := enter("renamed while it runs"); got != ns {
		t.Errorf("it was started anew: %s", got)
	}
	if out, err := upgraded("run", "--workdir", "/", c.name, "--", "test", "-x", "/run/tbx/box/"+version+"/tbx-box"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	try("podman", "stop", "--time", "0", c.name)
	if got := enter("stopped, and started by another version"); got == ns {
		t.Error("it was not stopped")
	}
	// One that knows the next version, and has a place and a program for it.
	c.inside(false, fmt.Sprintf("cd %s && mv src was && mkdir src && ln -s /run/tbx/box src/p", c.dir))
	for _, h := range []string{version, boxHash(t)} {
		must(t, os.MkdirAll(c.dir+"/src/p/"+h, 0o755))
		must(t, os.WriteFile(c.dir+"/src/p/"+h+"/tbx-box", fmt.Appendf(nil, plant, c.dir), 0o755))
	}
	for _, start := range []string{"tbx", "podman"} {
		try("podman", "stop", "--time", "0", c.name)
		if start == "podman" {
			try("podman", "start", c.name)
		}
		if out, err := upgraded("run", "--workdir", "/", c.name, "--", "true"); err == nil || !strings.Contains(out, "not as it was made") && !strings.Contains(out, "cannot be started") {
			t.Errorf("started by %s: %v\n%s", start, err, out)
		}
		c.refused("not as it was made|cannot be started")
		c.harmless()
	}
}
