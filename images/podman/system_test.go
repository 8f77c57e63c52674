//go:build system

package podman_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/images/podman"
)

// machine is a podman service with a store and registries of its own.
type machine struct {
	t     *testing.T
	store *podman.Store
	dir   string

	service *exec.Cmd // podman system service
}

// newMachine starts podman on an empty store. registries is the text of a
// registries.conf.
func newMachine(t *testing.T, registries string) *machine {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("TBX_DISK"), "tbx-images-test-") // overlay wants a real disk
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir}
	t.Cleanup(func() {
		// podman's pause process keeps the store's own mount.
		script := "umount -l $0/graph/overlay 2>/dev/null; rm -rf $0"
		if out, err := exec.Command("podman", "unshare", "sh", "-c", script, dir).CombinedOutput(); err != nil {
			t.Errorf("clean %s: %v\n%s", dir, err, out)
		}
	})
	if err := os.Mkdir(m.path("home"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.write("registries.conf", registries)
	m.write("storage.conf", "[storage]\ndriver = \"overlay\"\nrootless_storage_path = \""+dir+"/graph\"\nrunroot = \""+dir+"/run\"\n")
	for name, value := range map[string]string{
		"HOME": m.path("home"), "CONTAINERS_STORAGE_CONF": m.path("storage.conf"), "CONTAINERS_REGISTRIES_CONF": m.path("registries.conf"),
		"TMPDIR": m.open("tmpdir"), // a podman that is killed leaves its downloads there
	} {
		t.Setenv(name, value)
	}
	m.serve()
	return m
}

// serve starts a podman service and connects to it.
func (m *machine) serve() {
	m.t.Helper()
	socket := m.path("podman.sock")
	os.Remove(socket)
	m.service = m.start("podman", "system", "service", "--time=0", "unix://"+socket)
	m.await(func() error {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err
	})
	m.store = podman.New(client(socket))
}

// restart gives the store a new service, as after a crash of the old one.
func (m *machine) restart() {
	m.service.Process.Kill()
	m.serve()
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// start runs a program until the test ends.
func (m *machine) start(name string, args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(name, args...)
	log, err := os.Create(m.path(filepath.Base(name) + ".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { // before newMachine's, which removes the directory
		cmd.Process.Kill()
		cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && m.t.Failed() {
			m.t.Logf("%s said:\n%s", name, text)
		}
		log.Close()
	})
	return cmd
}

// run runs a program to its end and gives its output.
func (m *machine) run(name string, args ...string) string {
	m.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// old tells whether podman is version 4, which can less.
func (m *machine) old() bool {
	m.t.Helper()
	return strings.HasPrefix(m.run("podman", "version", "--format", "{{.Client.Version}}"), "4.")
}

// await tries until it works; a minute is a failure.
func (m *machine) await(try func() error) {
	m.t.Helper()
	var err error
	for range 600 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.t.Fatal(err)
}

// events collects progress.
type events []images.Event

func (e *events) add(ev images.Event) { *e = append(*e, ev) }

func (e events) has(match func(images.Event) bool) bool {
	for _, ev := range e {
		if match(ev) {
			return true
		}
	}
	return false
}

// open makes a directory that the user's subordinate ids can enter.
func (m *machine) open(name string) string {
	m.t.Helper()
	for _, dir := range []string{m.dir, m.path(name)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			m.t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			m.t.Fatal(err)
		}
	}
	return m.path(name)
}

// debianTar is the root file system of the real Debian that tests/lab/image made.
func debianTar() string { return filepath.Join(os.Getenv("TBX_IMAGES"), "debian.tar") }
