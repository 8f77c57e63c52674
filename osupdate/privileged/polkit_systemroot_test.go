//go:build systemroot

package privileged_test

import (
	"errors"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/privileged"
)

// TestRealPolkitAndSudo starts dbus-daemon and polkitd with tbx's action file in
// a mount namespace of its own, and goes through the real pkexec and sudo as an
// ordinary user. It must be started as root; nobody is the ordinary user.
func TestRealPolkitAndSudo(t *testing.T) {
	if dir := os.Getenv("TBX_TEST_POLKIT"); dir != "" {
		asOrdinaryUser(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("start this test as root: it makes a mount namespace and starts polkitd")
	}
	tool := fakeHost(t)
	dir, err := os.MkdirTemp("/var/tmp", "tbx-polkit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{dir, tool.Dir, filepath.Dir(tool.Dir)} { // of this test's own only
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"state", "calls", "strays"} { // the ordinary user reads the fake host too
		if err := os.Chmod(filepath.Join(tool.Dir, f), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	newBench(t, dir, tool)
	policy := strings.ReplaceAll(osRead(t, "../../packaging/polkit/dev.tbx.host.policy"), "/usr/bin/tbx", dir+"/tbx")
	osWrite(t, dir+"/dev.tbx.host.policy", policy)
	// The administrator of this test allows nobody to pin, and nothing more.
	osWrite(t, dir+"/10-test.rules", `polkit.addRule(function(action, subject) { if (action.id == "dev.tbx.host.pin" && subject.user == "nobody") return polkit.Result.YES; });`)
	osWrite(t, dir+"/sudoers", "root ALL=(ALL) ALL\nnobody ALL=(root) NOPASSWD: "+dir+"/tbx __host-unpin *\n")
	if err := os.Chmod(dir+"/sudoers", 0o440); err != nil {
		t.Fatal(err)
	}
	script := `set -e
mount -t tmpfs none /run; mkdir -p /run/dbus
mkdir $D/actions; cp /usr/share/polkit-1/actions/* $D/dev.tbx.host.policy $D/actions/
mount --bind $D/actions /usr/share/polkit-1/actions
mount -t tmpfs none /etc/polkit-1/rules.d; cp $D/10-test.rules /etc/polkit-1/rules.d/; chmod 755 /etc/polkit-1/rules.d
mount --bind $D/sudoers /etc/sudoers
dbus-daemon --system --nofork --nopidfile >$D/dbus.log 2>&1 & bus=$!
for i in $(seq 50); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.1; done
/usr/lib/polkit-1/polkitd --no-debug >$D/polkitd.log 2>&1 & polkitd=$!
trap 'kill $polkitd $bus' EXIT
for i in $(seq 50); do pkaction --action-id dev.tbx.host.pin >/dev/null 2>&1 && break; sleep 0.1; done
setpriv --reuid=nobody --regid=nogroup --clear-groups env TBX_TEST_POLKIT=$D TBX_EVIL=1 HOME=/ "$T" -test.run='^TestRealPolkitAndSudo$' -test.v
`
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	osWrite(t, dir+"/test", osRead(t, self))
	if err := os.Chmod(dir+"/test", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "D="+dir, "T="+dir+"/test")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // on the terminal of who runs the tests, pkexec would ask for a password
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestRealPolkitAndSudo") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func asOrdinaryUser(t *testing.T, dir string) {
	if me, err := osuser.Current(); err != nil || me.Username != "nobody" {
		t.Fatalf("%+v, %v", me, err)
	}
	toolDir := osRead(t, dir+"/tools")
	run := func(method privileged.Method, r osupdate.Request) (*osupdate.Answer, error, string) {
		var said strings.Builder
		c := &privileged.Caller{Self: dir + "/tbx", Method: method, Dirs: osupdate.SystemDirs(), Stderr: &said}
		a, err := c.Run(t.Context(), osupdate.Order{Request: r}, nil)
		return a, err, said.String()
	}
	// Reading is free for everybody.
	a, err, said := run(privileged.Pkexec, osupdate.Request{Verb: osupdate.StatusVerb})
	if err != nil || a.Status == nil || a.Status.State.Backend != osupdate.RPMOSTree {
		t.Fatalf("status: %+v, %v\n%s", a, err, said)
	}
	if !strings.Contains(said, `uid 0, TBX_EVIL ""`) {
		t.Errorf("not root, or the environment came through: %s", said)
	}
	// What the administrator allowed.
	a, err, said = run(privileged.Pkexec, osupdate.Request{Verb: osupdate.Pin, Target: "0"})
	if err != nil || !a.Result.After.Pinned || strings.TrimSpace(osRead(t, toolDir+"/state")) != "pinned" {
		t.Fatalf("pin: %+v, %v\n%s", a, err, said)
	}
	// Everything else, for a user without a session, is the administrator's.
	for _, r := range []osupdate.Request{{Verb: osupdate.Upgrade}, {Verb: osupdate.Upgrade, AllowDowngrade: true}, {Verb: osupdate.Switch, Target: "evil.example/x:1"}, {Verb: osupdate.Kargs, Append: []string{"init=/bin/sh"}}} {
		if a, err, said := run(privileged.Pkexec, r); !errors.Is(err, osupdate.ErrPermission) {
			t.Errorf("%s: %+v, %v\n%s", r.Verb, a, err, said)
		}
	}
	// The verb in the order cannot differ from the one that polkit saw.
	cmd := exec.Command("/usr/bin/pkexec", dir+"/tbx", "__host-pin", `{"request":{"verb":"kargs","append":["init=/bin/sh"]}}`)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `the order is for "kargs"`) {
		t.Errorf("%v\n%s", err, out)
	}
	// sudo, with a rule for one verb.
	a, err, said = run(privileged.Sudo, osupdate.Request{Verb: osupdate.Unpin, Target: "1"})
	if err != nil || a.Result.Unchanged == "" || !strings.Contains(said, `uid 0, TBX_EVIL ""`) {
		t.Errorf("sudo: %+v, %v\n%s", a, err, said)
	}
	if _, err, said = run(privileged.Sudo, osupdate.Request{Verb: osupdate.Upgrade}); !errors.Is(err, osupdate.ErrPermission) {
		t.Errorf("sudo without a rule: %v\n%s", err, said)
	}
}

func osRead(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func osWrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
