//go:build system

package bridge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// What docs/host-policy.md promises, attacked from real toolboxes with the installed
// programs: docs/design/promises.md has the sentences.

// owner is a desktop's notification server whose owner answers every question so.
type owner struct {
	address string
	shown   chan string // texts of the questions
	says    string      // yes or no
	first   func()      // called when a question is on the screen, before the answer
	conn    *dbus.Conn
}

func (o *owner) GetServerInformation() (name, vendor, version, spec string, err *dbus.Error) {
	return "test", "test", "1", "1.2", nil
}

func (o *owner) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"actions", "body", "body-markup"}, nil
}

func (o *owner) Notify(_ string, id uint32, _, _, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	if len(actions) == 0 { // no question
		return 1, nil
	}
	o.shown <- body
	go func() {
		time.Sleep(200 * time.Millisecond) // notify-send listens once it has the answer to this
		if o.first != nil {
			o.first()
		}
		o.conn.Emit(notifyPath, notifyName+".ActionInvoked", uint32(7), o.says)
		o.conn.Emit(notifyPath, notifyName+".NotificationClosed", uint32(7), uint32(2))
	}()
	return 7, nil
}

func (o *owner) CloseNotification(uint32) *dbus.Error { return nil }

// questions are those that were shown since the last call.
func (o *owner) questions() (out []string) {
	for {
		select {
		case q := <-o.shown:
			out = append(out, q)
		default:
			return out
		}
	}
}

func desktop(t *testing.T, says string) *owner {
	t.Helper()
	o := &owner{address: sessionBus(t), shown: make(chan string, 100), says: says}
	var err error
	if o.conn, err = dbus.Connect(o.address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.conn.Close() })
	if err := o.conn.Export(o, notifyPath, notifyName); err != nil {
		t.Fatal(err)
	}
	if got, err := o.conn.RequestName(notifyName, dbus.NameFlagDoNotQueue); err != nil || got != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(got, err)
	}
	return o
}

// cellBox is an isolated toolbox with a share.
func cellBox(t *testing.T) (name, share string) {
	t.Helper()
	box := realBox(t, "busybox") // for the image, and the agent
	name = "bridge-cell"
	share = filepath.Join(box.Shared, "share")
	if err := os.Mkdir(share, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tbx(), "create", "--quiet", "--isolated", "--pull", "never", "--image", "localhost/tbx-bridge-busybox",
		"--share", share, name).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { exec.Command(tbx(), "rm", "--yes", "--force", name).Run() })
	return name, share
}

// says runs a script in a toolbox, from the session of that desktop, and returns its output.
func (o *owner) inside(t *testing.T, name, dir, script string, env ...string) string {
	t.Helper()
	cmd := exec.Command(tbx(), "run", "--workdir", dir, name, "--", "sh", "-c", "tbx() { "+client+" \"$@\"; }; "+script)
	cmd.Env = append(os.Environ(), append(env, "DBUS_SESSION_BUS_ADDRESS="+o.address)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// "open-file opens what the name leads to, without links: that name is in the question and
// in the log, and is given to the program. An isolated toolbox opens what is in its shares,
// and a link that leads out of them tells it nothing. Refused is what is run by being opened.
// When the question is answered, the file must be the one that was asked about."
func TestB17_OpenFromARealToolbox(t *testing.T) {
	name, share := cellBox(t)
	secret := filepath.Join(filepath.Dir(share), "secret.txt")
	opened := filepath.Join(filepath.Dir(share), "opened")
	browser := filepath.Join(filepath.Dir(share), "browser")
	for file, text := range map[string]string{
		secret: "x", filepath.Join(share, "other.txt"): "text", filepath.Join(share, "evil.desktop"): "[Desktop Entry]\nExec=id\n",
		filepath.Join(share, "letter.txt"): "#!/bin/sh\nid\n", browser: "#!/bin/sh\nprintf '%s\\n' \"$1\" >>" + opened + "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(browser, 0o755)
	policy(t, "[[rule]]\nbox = \"bridge-cell\"\nverb = \"open-file\"\naction = \"ask\"\n")
	o := desktop(t, "yes")
	try := func(file string) string {
		t.Helper()
		return o.inside(t, name, share, "tbx host-exec --verb open-file "+file+"; echo code $?", "BROWSER="+browser, "DISPLAY=", "WAYLAND_DISPLAY=")
	}
	for link, to := range map[string]string{"report.txt": "other.txt", "out.txt": secret, "none.txt": secret + "-not", "run.txt": "evil.desktop"} {
		if err := os.Symlink(to, filepath.Join(share, link)); err != nil {
			t.Fatal(err)
		}
	}
	out, none := try(share+"/out.txt"), try(share+"/none.txt")
	if strings.ReplaceAll(out, "out.txt", "none.txt") != none || !strings.Contains(out, "no such file or directory\ncode 125") {
		t.Errorf("a link out of the share tells apart what is there: %q, %q", out, none)
	}
	for _, file := range []string{"evil.desktop", "run.txt"} {
		if got := try(share + "/" + file); !strings.Contains(got, "code 126") {
			t.Errorf("%s: %s", file, got)
		}
	}
	if asked := o.questions(); asked != nil {
		t.Errorf("the owner was asked %q", asked)
	}
	if got := try(share + "/letter.txt"); !strings.Contains(got, "code 126") || len(o.questions()) != 1 { // what is in it is looked at last
		t.Errorf("a script: %s", got)
	}
	real := filepath.Join(share, "other.txt")
	if got := try(share + "/report.txt"); !strings.Contains(got, "code 0") {
		t.Error(got)
	}
	if asked := o.questions(); len(asked) != 1 || !strings.Contains(asked[0], "open-file "+real+"\n") {
		t.Errorf("asked %q", asked)
	}
	bridgetest.Eventually(t, "the program was given the name without links", func() bool {
		got, _ := os.ReadFile(opened)
		return string(got) == real+"\n"
	})
	if rec := audit(t, name, share+"/report.txt"); rec.File != real {
		t.Errorf("logged as %+v", rec)
	}
	o.first = func() {
		os.Remove(real)
		os.Symlink(secret, real)
	}
	if got := try(share + "/report.txt"); !strings.Contains(got, "code 12") {
		t.Errorf("exchanged during the question: %s", got)
	}
	if got, _ := os.ReadFile(opened); strings.Count(string(got), "\n") != 1 {
		t.Errorf("opened %q", got)
	}
}

// "A toolbox has one question open, and three a minute", and "an answer that is remembered
// is for the same arguments, directory and values, and for no others."
func TestB18_AnswersFromARealToolbox(t *testing.T) {
	box := realBox(t, "busybox")
	o := desktop(t, "yes")
	policy(t, "[[rule]]\nbox = \"bridge-busybox\"\nexec = \"echo\"\naction = \"ask\"\nremember = \"session\"\nenv = [\"COLOUR\"]\n")
	ask := func(dir, words string) string {
		t.Helper()
		return o.inside(t, "bridge-busybox", dir, words+"; echo code $?")
	}
	for _, words := range []string{"tbx host-exec echo a", "tbx host-exec echo a"} {
		if got := ask(box.Shared, words); !strings.HasSuffix(got, "a\ncode 0\n") {
			t.Fatal(got)
		}
	}
	if got := o.questions(); len(got) != 1 || !strings.Contains(got[0], "echo a\nin "+box.Shared) {
		t.Errorf("asked %q", got)
	}
	for _, other := range []struct{ dir, words string }{
		{os.Getenv("HOME"), "tbx host-exec echo a"},
		{box.Shared, "COLOUR=red tbx host-exec echo a"},
		{box.Shared, "tbx host-exec echo b"}, // the fourth in a minute
	} {
		ask(other.dir, other.words)
	}
	if got := o.questions(); len(got) != 2 {
		t.Errorf("asked %q", got)
	}
	if got := ask(box.Shared, "tbx host-exec echo c"); !strings.Contains(got, "too many questions") || !strings.Contains(got, "code 126") {
		t.Error(got)
	}
	if got := ask(box.Shared, "tbx host-exec echo a"); got != "a\ncode 0\n" {
		t.Errorf("what was answered: %s", got)
	}
	if got := o.questions(); len(got) != 0 {
		t.Errorf("asked %q", got)
	}
}

// "Where the agent was stopped or hangs, tbx enter and tbx run go on without the bridge
// after ten seconds at most", and host commands say so.
func TestB25_StoppedUnderARealToolbox(t *testing.T) {
	box := realBox(t, "busybox")
	out, err := exec.Command(tbx(), "agent", "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var agent struct{ Pid int }
	if err := json.Unmarshal(out, &agent); err != nil {
		t.Fatal(err)
	}
	if got := box.Output(t, "echo", "before"); got != "before\n" {
		t.Fatal(got)
	}
	syscall.Kill(agent.Pid, syscall.SIGSTOP)
	defer syscall.Kill(agent.Pid, syscall.SIGCONT)
	file := filepath.Join(box.Shared, "out") // a pipe would stay open in the queue of the stopped agent
	cmd := exec.Command(tbx(), "run", "--workdir", box.Shared, "bridge-busybox", "--", "sh", "-c", client+" host-exec true >out 2>&1; echo code $? >>out")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%v %s", err, said.String())
	}
	if got, _ := os.ReadFile(file); !strings.Contains(string(got), "does not answer") || !strings.HasSuffix(string(got), "code 125\n") {
		t.Errorf("the host command says %q", got)
	}
	syscall.Kill(agent.Pid, syscall.SIGCONT)
	if got := box.Output(t, "echo", "after"); got != "after\n" {
		t.Error(got)
	}
}

// "A toolbox that asks without pause pushes out neither another's share nor its own denials;
// of its refusals, 200 are written one by one, and the others are counted."
func TestB26_FloodFromARealToolbox(t *testing.T) {
	box := realBox(t, "debian")
	realBox(t, "busybox")
	policy(t, "[[rule]]\nbox = \"bridge-*\"\nexec = \"id\"\naction = \"deny\"\n")
	box.Client("id", "first-of-the-other").Run()
	mark := fmt.Sprint("flood-", time.Now().UnixNano())
	script := "i=0; while [ $i -lt 600 ]; do " + client + " host-exec id " + mark + " $(printf %04000d $i) 2>/dev/null; i=$((i+1)); done"
	if out, err := exec.Command(tbx(), "run", "--workdir", "/", "bridge-busybox", "--", "sh", "-c", script+"; true").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if rec := audit(t, "bridge-debian", "first-of-the-other"); rec.Decision != "deny" {
		t.Errorf("of the other toolbox: %+v", rec)
	}
	if out, err := exec.Command(tbx(), "stop", "bridge-busybox").CombinedOutput(); err != nil { // else they are counted within a minute
		t.Fatalf("%v %s", err, out)
	}
	var out []byte
	bridgetest.Eventually(t, "those that are not written are counted", func() bool {
		out, _ = exec.Command(tbx(), "audit", "--toolbox", "bridge-busybox").Output()
		return strings.Contains(string(out), "more requests refused")
	})
	if n := strings.Count(string(out), mark); n == 0 || n > 250 {
		t.Errorf("%d refusals are in the log, one by one", n)
	}
}

// "Notifications are ten at once and then ten a minute."
func TestB27_NotificationsOfARealToolbox(t *testing.T) {
	name, share := cellBox(t)
	o := desktop(t, "no")
	policy(t, "[[rule]]\nbox = \"bridge-cell\"\nverb = \"notify\"\naction = \"allow\"\n")
	got := o.inside(t, name, share, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do tbx host-exec --verb notify hello $i 2>&1 && echo shown; done; true")
	if n := strings.Count(got, "shown\n"); n < 10 || n > 11 || !strings.Contains(got, "too many of this toolbox in a short time") {
		t.Errorf("%d were shown: %s", n, got)
	}
}
