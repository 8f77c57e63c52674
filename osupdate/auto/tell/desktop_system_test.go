//go:build system

package tell_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

type server struct{ shown chan string }

func (s *server) Notify(app string, _ uint32, _, summary, body string, _ []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.shown <- fmt.Sprint(app, "|", summary, "|", body, "|", hints["urgency"])
	return 1, nil
}

// TestDesktop: a real bus, and a server of notifications on it, get the words.
func TestDesktop(t *testing.T) {
	dir, uid := t.TempDir(), os.Getuid()
	bus := filepath.Join(dir, fmt.Sprint(uid), "bus")
	if err := os.MkdirAll(filepath.Dir(bus), 0o700); err != nil {
		t.Fatal(err)
	}
	busctl, err := exec.LookPath("busctl")
	if err != nil {
		t.Fatal(err)
	}
	show, n := tell.Desktop(busctl, dir), tell.Notice{ID: "x", Title: "An update <waits>", Text: "43 & more\x1b[2J", Do: "restart"}
	if show(t.Context(), uid, n) {
		t.Error("shown where there is no bus")
	}
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--address=unix:path="+bus)
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { daemon.Process.Kill(); daemon.Wait() }()
	var conn *dbus.Conn
	for range 100 {
		if conn, err = dbus.Connect("unix:path=" + bus); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if show(t.Context(), uid, n) {
		t.Error("shown where nobody shows it")
	}
	s := &server{make(chan string, 1)}
	const name, path = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
	if err := conn.Export(s, path, name); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if !show(t.Context(), uid, n) {
		t.Fatal("not shown")
	}
	got := <-s.shown
	if !strings.HasPrefix(got, "tbx|An update <waits>|43 &amp; more") || strings.ContainsRune(got, '\x1b') || !strings.Contains(got, "restart|") {
		t.Errorf("%q", got)
	}
}
