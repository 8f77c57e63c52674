//go:build system

package bridge_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// notifications is a notification server. It tells what it shall show, and
// answers when it is told to.
type notifications struct{ shown chan []string }

const notifyName, notifyPath = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"

func (n *notifications) GetServerInformation() (name, vendor, version, spec string, err *dbus.Error) {
	return "test", "test", "1", "1.2", nil
}

func (n *notifications) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"actions", "body", "body-markup"}, nil
}

func (n *notifications) Notify(_ string, _ uint32, _, summary, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	n.shown <- append([]string{summary, body}, actions...)
	return 7, nil
}

func (n *notifications) CloseNotification(uint32) *dbus.Error { return nil }

// A toolbox has the session bus, and can send what a notification server would
// send. Only the server's own word counts.
func TestB18_FakeAnswerOnTheBus(t *testing.T) {
	box := realBox(t, "debian")
	address := sessionBus(t)
	connect := func() *dbus.Conn {
		c, err := dbus.Connect(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	server, attacker := connect(), connect()
	n := &notifications{make(chan []string, 1)}
	if err := server.Export(n, notifyPath, notifyName); err != nil {
		t.Fatal(err)
	}
	if got, err := server.RequestName(notifyName, dbus.NameFlagDoNotQueue); err != nil || got != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(got, err)
	}
	answer := func(c *dbus.Conn, what string) {
		t.Helper()
		if err := c.Emit(notifyPath, notifyName+".ActionInvoked", uint32(7), what); err != nil {
			t.Fatal(err)
		}
		if err := c.Emit(notifyPath, notifyName+".NotificationClosed", uint32(7), uint32(2)); err != nil {
			t.Fatal(err)
		}
		var id string // the bus has passed on what came before its answer
		if err := c.BusObject().Call("org.freedesktop.DBus.GetId", 0).Store(&id); err != nil {
			t.Fatal(err)
		}
	}
	policy(t, "[[rule]]\nbox = \"bridge-debian\"\nexec = \"echo\"\naction = \"ask\"\n")
	for _, says := range []string{"no", "yes"} {
		cmd := box.Client("echo", "\x1b[2J\u202e<b>", "-s")
		cmd.Env = append(cmd.Env, "DBUS_SESSION_BUS_ADDRESS="+address)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case shown := <-n.shown:
			if want := `echo "\x1b[2J\u202e&lt;b&gt;" -s` + "\nin " + box.Shared; shown[1] != want {
				t.Errorf("the owner is shown %q, want %q", shown[1], want)
			}
		case err := <-done:
			t.Fatalf("nobody was asked: %v %s", err, out.String())
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was asked")
		}
		time.Sleep(200 * time.Millisecond) // notify-send listens once it has the answer to Notify
		answer(attacker, map[string]string{"no": "yes", "yes": "no"}[says])
		answer(server, says)
		<-done
		if code := cmd.ProcessState.ExitCode(); says == "no" && (code != 126 || !strings.Contains(out.String(), "the owner said no")) ||
			says == "yes" && code != 0 {
			t.Errorf("the owner says %s: %v %s", says, cmd.ProcessState, out.String())
		}
	}
}

// sessionBus starts a bus and returns its address.
func sessionBus(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address", "--address=unix:dir="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// policy is a file of the user's policy until the test ends.
func policy(t *testing.T, text string) {
	t.Helper()
	dir := filepath.Join(os.Getenv("HOME"), ".config/tbx/host-policy.d")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "10-bridge-test.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
}
