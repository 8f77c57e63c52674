//go:build systemunits

// Package units_test runs the units of automatic updates under a real systemd, in a booted
// box of the lab, with an updater of the test's own at the process boundary: a
// systemd-sysupdate that is a script. Root starts it: make units.
package units_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto"
)

// box is a booted Debian.
type box struct {
	t    *testing.T
	name string
}

func (b *box) systembox(args ...string) (string, error) {
	cmd := exec.Command("../lab/systembox", append([]string{args[0], b.name}, args[1:]...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *box) try(script string) (string, error) {
	return b.systembox("ssh", "--root", "--", "bash", "-c", script)
}

// run has root's shell in the box carry out script.
func (b *box) run(script string) string {
	b.t.Helper()
	out, err := b.try(script)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// user is run for the ordinary user dev, in a login session.
func (b *box) user(script string) (string, error) {
	return b.systembox("ssh", "--", "bash", "-c", script)
}

func (b *box) start(args ...string) {
	b.t.Helper()
	if out, err := b.systembox(append([]string{"start", "--linger"}, args...)...); err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
}

// wait tries until script succeeds.
func (b *box) wait(what, script string) {
	b.t.Helper()
	last := ""
	for range 120 {
		out, err := b.try(script)
		if err == nil {
			return
		}
		last = out
		time.Sleep(500 * time.Millisecond)
	}
	log, _ := b.try("systemctl status --no-pager tbx-host-auto.timer tbx-host-auto.service tbx-host-health.service; journalctl --no-pager -n 40 -u 'tbx-host-*'; cat /var/lib/tbx/host/auto.json")
	b.t.Fatalf("%s did not come: %s\n%s", what, last, log)
}

// says wants every part in what the script prints.
func (b *box) says(script string, parts ...string) {
	b.t.Helper()
	out := b.run(script)
	for _, part := range parts {
		if !strings.Contains(out, part) {
			b.t.Errorf("%s says %s, which lacks %q", script, out, part)
		}
	}
}

func (b *box) memory() auto.Memory {
	b.t.Helper()
	var m auto.Memory
	if err := json.Unmarshal([]byte(b.run("cat /var/lib/tbx/host/auto.json")), &m); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// updater is a systemd-sysupdate whose versions are lines of a file: all that there are in
// newest, what is installed in have. A boot runs the last that is installed.
const updater = `#!/bin/bash
cd /var/lib/versions || exit 1
have=$(sort -rn have | sed 's/.*/"&"/' | paste -sd,)
new=$(cat newest); running=$(. /etc/os-release; echo "$IMAGE_VERSION")
case "$*" in
*list) echo "{\"current\":\"$running\",\"all\":[$have]}" ;;
*check-new) if grep -qx "$new" have; then echo '{"available":null}'; exit 1; else echo "{\"available\":\"$new\"}"; fi ;;
update*) echo "$new" >>have ;;
*) echo "what is $*?" >&2; exit 1 ;;
esac
`

// bootUnit is what a boot loader does: the newest version runs. And the box is no container
// in the eyes of tbx.
const bootUnit = `[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'rm -f /run/systemd/container; sed -i /IMAGE_VERSION/d /etc/os-release; echo IMAGE_VERSION=$$(sort -n /var/lib/versions/have | tail -1) >>/etc/os-release'
[Install]
WantedBy=sysinit.target
`

// newBox is a box that is booted anew, with tbx, and version 1 of 1.
func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t, os.Getenv("TBX_BOX")}
	if b.name == "" {
		b.name = "bookworm:7"
	}
	if out, err := exec.Command("../lab/systembox", "build", strings.Split(b.name, ":")[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.start("--fresh")
	t.Cleanup(func() { b.systembox("stop") })
	write := func(path, text string) {
		t.Helper()
		cmd := exec.Command("../lab/systembox", "ssh", b.name, "--root", "--", "bash", "-c", "mkdir -p "+filepath.Dir(path)+"; cat > "+path)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	b.run("install -D -m 755 -t /usr/local/bin /src/bin/tbx; install -D -m 755 -t /usr/local/libexec/tbx /src/bin/tbx-podman /src/bin/tbx-box")
	write("/usr/lib/systemd/systemd-sysupdate", updater)
	write("/etc/systemd/system/boot-loader.service", bootUnit)
	write("/etc/sysupdate.d/50-os.conf", "[Transfer]\n")
	write("/etc/tbx/host.toml", "[auto]\nfree_megabytes = 0\npressure_percent = 0\n")
	b.run(`chmod 755 /usr/lib/systemd/systemd-sysupdate; mkdir -p /var/lib/versions; cd /var/lib/versions; echo 1 >have; echo 1 >newest
cp --remove-destination /usr/lib/os-release /etc/os-release; systemctl enable --now boot-loader.service`)
	return b
}

// off waits until the box has ended by itself, as a machine that restarts does.
func (b *box) off() {
	b.t.Helper()
	for range 400 { // a minute of them is the warning
		if out, err := b.systembox("status"); err == nil && !strings.Contains(out, strings.Replace(b.name, ":", "-", 1)+" running") {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	b.t.Fatal("the machine was not restarted")
}

const service = "tbx-host-auto.service"

// TestUnits is a host's life by its timer alone: the update is fetched, waits for a person,
// proves itself right after the boot, and the user's toolboxes have their turn.
func TestUnits(t *testing.T) {
	b := newBox(t)
	b.says("/usr/local/bin/tbx host auto on", "Nothing was looked for yet")
	b.says("systemctl is-enabled tbx-host-auto.timer tbx-host-health.service", "enabled\nenabled")
	b.says("systemctl is-active tbx-host-auto.timer", "active")
	b.says("systemctl show -p NextElapseUSecMonotonic --value tbx-host-auto.timer", "min")
	b.says("systemd-analyze --man=no verify /etc/systemd/system/tbx-host-*.service /etc/systemd/system/tbx-host-auto.timer 2>&1 | grep tbx-host || echo fine", "fine")

	// The user's step: a path unit that waits for the host's.
	if out, err := b.user("/usr/local/bin/tbx host auto toolboxes on"); err != nil || !strings.Contains(out, "upgraded once a day") {
		t.Fatalf("%v, %s", err, out)
	}
	b.run("echo 2 >/var/lib/versions/newest; systemctl start " + service)
	b.says("systemctl show -p Result,ExecMainStatus "+service, "Result=success", "ExecMainStatus=0")
	b.says("journalctl --no-pager -o cat TBX_ACTION=stage", "staging: stage")
	b.says("cat /run/reboot-required", "restart required")
	b.says("/usr/local/bin/tbx host auto explain", "2 is fetched and boots next; the machine is restarted by a person")
	if m := b.memory(); m.State != "staged" || m.Target.Version != "2" {
		t.Fatalf("%+v", m)
	}
	b.run("cat /run/tbx-host-step")
	for range 60 {
		if out, _ := b.user("/usr/local/bin/tbx host auto toolboxes"); strings.Contains(out, "The last time was") {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if out, err := b.user("/usr/local/bin/tbx host auto toolboxes --format json"); err != nil || !strings.Contains(out, `"result":`) {
		log, _ := b.user("systemctl --user status --no-pager 'tbx-toolboxes*'; ls -ld /run/tbx /run/tbx/*")
		t.Errorf("%v, %s\n%s", err, out, log)
	}

	// The next boot: nobody calls anything.
	if out, err := b.systembox("stop"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.start()
	b.wait("the proof", `grep -q '"state": "idle"' /var/lib/tbx/host/auto.json`)
	if m := b.memory(); m.Good.Version != "2" {
		t.Errorf("%+v", m.Record)
	}
	b.says("systemctl show -p Result,ExecMainStatus tbx-host-health.service", "Result=success")
	b.says("ls /run/reboot-required 2>&1 || true", "No such file")

	// A source that fails is no failed unit; the next one is taken up again by itself.
	b.run("mv /var/lib/versions/newest /var/lib/versions/gone; sed -i '/checked/d' /var/lib/tbx/host/auto.json; systemctl start " + service + " || true")
	b.says("/usr/local/bin/tbx host auto off", "switched off")
	b.says("systemctl is-enabled tbx-host-auto.timer tbx-host-health.service 2>&1 || true", "disabled\ndisabled")
}

// TestH104_Policies: a session at work and an inhibitor keep the machine from being restarted, as a real logind
// tells them; a session that the policy does not count does not.
func TestH104_Policies(t *testing.T) {
	b := newBox(t)
	b.run("/usr/local/bin/tbx host auto on --reboot idle; systemctl stop tbx-host-auto.timer; echo 2 >/var/lib/versions/newest")
	session := exec.Command("../lab/systembox", "ssh", b.name, "-t", "--", "sleep", "600") // dev is at work
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	defer session.Wait()
	defer session.Process.Kill()
	b.wait("dev's session", "loginctl list-sessions --no-legend | grep -q dev")
	b.run("systemctl start " + service)
	b.says("/usr/local/bin/tbx host auto explain", "the machine is restarted when the session of")
	if m := b.memory(); m.State != "staged" || len(m.Restarts) != 0 {
		t.Fatalf("%+v", m.Record)
	}
	// A program inhibits it: asked, refused, remembered, and no failed unit.
	b.run("/usr/local/bin/tbx host auto on --reboot immediate; systemctl stop tbx-host-auto.timer")
	b.run("systemd-run --unit burn systemd-inhibit --what=shutdown --mode=block --who=burner --why=burning sleep 600; sleep 1")
	b.run("systemctl start " + service)
	b.says("systemctl show -p Result,ExecMainStatus "+service, "Result=success", "ExecMainStatus=22")
	b.says("/usr/local/bin/tbx host auto explain", "inhibited", "burner")
	if m := b.memory(); m.State != "staged" || len(m.Restarts) != 0 || m.Trouble == nil || m.Trouble.Kind != "inhibited" {
		t.Fatalf("%+v", m.Record)
	}
	b.run("systemctl stop burn; sed -i '/trouble/,/}/s/\"next\": .*/\"next\": \"2026-01-01T00:00:00Z\"/' /var/lib/tbx/host/auto.json")
	b.try("systemctl start --no-block " + service)
	b.off()
	b.start()
	b.wait("the proof", `grep -q '"state": "idle"' /var/lib/tbx/host/auto.json`)
	if m := b.memory(); m.Good.Version != "2" || len(m.Restarts) != 1 || !m.Restarts[0].Arrived {
		t.Errorf("%+v", m.Record)
	}
}
