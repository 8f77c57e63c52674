//go:build system

package terminal_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dirs are places where a desktop keeps sockets: one that is shared, and one
// that is reached through the host view only.
func dirs(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, below := range map[string]string{"runtime": os.Getenv("XDG_RUNTIME_DIR"), "elsewhere": "/var/tmp"} {
		dir, err := os.MkdirTemp(below, "tbx-terminal-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		out[name] = dir
	}
	return out
}

// listen makes a socket that greets who calls.
func listen(t *testing.T, path, greeting string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, greeting)
			c.Close()
		}
	}()
}

// labOnly makes a directory of the lab's own in front of the machine's, so that
// a test that changes it changes no more than the lab.
func labOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Getenv("TBX_LAB") != "" {
		asRoot(t, "mkdir -p "+dir+"; mount -t tmpfs -o mode=755 tbx-terminal "+dir)
		t.Cleanup(func() { asRoot(t, "umount -l "+dir) })
	}
}

func appears(t *testing.T, path string) {
	t.Helper()
	await(t, text(path+" does not appear"), func() bool { _, err := os.Stat(path); return err == nil })
}

// A client inside draws on the host's X server, which wants the cookie.
func TestX11(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	auth := filepath.Join(dir, "Xauthority")
	cookie := xauthority(t)
	if err := os.WriteFile(auth, cookie, 0o600); err != nil {
		t.Fatal(err)
	}
	number, err := os.OpenFile(filepath.Join(dir, "display"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer number.Close()
	serve(t, "sh", "-c", "exec Xvfb -displayfd 3 -screen 0 320x240x24 -nolisten tcp -auth "+auth+" 3>"+number.Name())
	await(t, text("Xvfb does not start"), func() bool {
		data, _ := os.ReadFile(number.Name())
		return strings.HasSuffix(string(data), "\n")
	})
	data, _ := os.ReadFile(number.Name())
	env := []string{"DISPLAY=:" + strings.TrimSpace(string(data)), "XAUTHORITY=" + auth}
	if n := colours(t, env); n != 1 {
		t.Fatalf("the empty screen has %d colours", n)
	}
	name := fmt.Sprint("clock-", os.Getpid())
	client := openPTY(t, env, "tbx", "run", box, "--", "xclock", "-name", name, "-bg", "yellow", "-hd", "red", "-geometry", "200x200+10+10")
	await(t, func() string { return "nothing is drawn\n" + client.shown() }, func() bool { return colours(t, env) > 2 })
	if out, code := try(t, []string{env[0], "XAUTHORITY=/nonexistent"}, "tbx", "run", box, "--", "xwd", "-root", "-silent", "-out", "/dev/null"); code == 0 {
		t.Errorf("the server wants no cookie, so this test shows little: %s", out)
	}
}

// xauthority is a file as Xau(3) describes it, with one cookie for this host's
// displays.
func xauthority(t *testing.T) []byte {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const familyLocal = 256
	out := binary.BigEndian.AppendUint16(nil, familyLocal)
	for _, field := range []string{host, "", "MIT-MAGIC-COOKIE-1", "0123456789abcdef"} {
		out = binary.BigEndian.AppendUint16(out, uint16(len(field)))
		out = append(out, field...)
	}
	return out
}

// colours counts the different pixels of a screenshot, see XWDFile.h.
func colours(t *testing.T, env []string) int {
	t.Helper()
	cmd := exec.Command("xwd", "-root", "-silent")
	cmd.Env = append(os.Environ(), env...)
	shot, err := cmd.Output()
	if err != nil {
		t.Fatalf("xwd: %v", err)
	}
	field := func(i int) int { return int(binary.BigEndian.Uint32(shot[4*i:])) }
	const headerSize, bitsPerPixel, colormapEntries, colorSize = 0, 11, 19, 12
	if field(bitsPerPixel) != 32 {
		t.Fatalf("%d bits per pixel", field(bitsPerPixel))
	}
	seen := map[uint32]bool{}
	for pixels := shot[field(headerSize)+field(colormapEntries)*colorSize:]; len(pixels) >= 4; pixels = pixels[4:] {
		seen[binary.LittleEndian.Uint32(pixels)] = true
	}
	return len(seen)
}

// Sockets of the desktop are where the environment says, as seen from inside.
func TestSockets(t *testing.T) {
	t.Parallel()
	for place, dir := range dirs(t) {
		listen(t, dir+"/wayland-7", "compositor")
		listen(t, dir+"/pulse/native", "sound")
		listen(t, dir+"/pipewire-7", "video")
		listen(t, dir+"/bus", "system bus")
		env := []string{
			"WAYLAND_DISPLAY=" + dir + "/wayland-7", "PULSE_SERVER=unix:" + dir + "/pulse/native",
			"PIPEWIRE_RUNTIME_DIR=" + dir, "PIPEWIRE_REMOTE=pipewire-7", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + dir + "/bus",
		}
		for script, want := range map[string]string{
			`nc -UN "$WAYLAND_DISPLAY"`:                                   "compositor",
			`nc -UN "${PULSE_SERVER#unix:}"`:                              "sound",
			`nc -UN "$PIPEWIRE_RUNTIME_DIR/$PIPEWIRE_REMOTE"`:             "video",
			`nc -UN "${DBUS_SYSTEM_BUS_ADDRESS#unix:path=}"`:              "system bus",
			`test -O "$XDG_RUNTIME_DIR" && stat -c %a "$XDG_RUNTIME_DIR"`: "700",
		} {
			if got := inside(t, env, script+" </dev/null"); got != want {
				t.Errorf("%s: %s says %q", place, script, got)
			}
		}
	}
	// By name, as compositors set it.
	listen(t, os.Getenv("XDG_RUNTIME_DIR")+"/wayland-tbxterm", "by name")
	if got := inside(t, []string{"WAYLAND_DISPLAY=wayland-tbxterm"}, `nc -UN "$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY" </dev/null`); got != "by name" {
		t.Errorf("by name: %q", got)
	}
}

// Of a runtime directory that is shared in parts, the other parts are not there.
func TestSomeSockets(t *testing.T) {
	t.Parallel()
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	listen(t, runtime+"/wayland-tbxparts", "compositor")
	if _, err := os.Stat(runtime + "/pipewire-0"); err != nil {
		listen(t, runtime+"/pipewire-0", "video")
	}
	env := []string{"WAYLAND_DISPLAY=wayland-tbxparts"}
	name := newBox(t, "parts", env, "--no-wayland")
	out := tbx(t, env, "run", name, "--", "sh", "-c", `ls "$XDG_RUNTIME_DIR"; echo "display=$WAYLAND_DISPLAY"; nc -UN "$XDG_RUNTIME_DIR/pipewire-0" </dev/null >/dev/null && echo reached`)
	if strings.Contains(out, "wayland") || !strings.Contains(out, "display=\n") || !strings.HasSuffix(out, "reached\n") {
		t.Errorf("without Wayland:\n%s", out)
	}
}

func TestSessionBus(t *testing.T) {
	t.Parallel()
	for place, dir := range dirs(t) {
		address := "unix:path=" + dir + "/bus"
		serve(t, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+address)
		appears(t, dir+"/bus")
		env := []string{"DBUS_SESSION_BUS_ADDRESS=" + address}
		const call = "dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId"
		want := host(t, env[0]+" "+call)
		if got := inside(t, env, call); got != strings.TrimSpace(want) || len(got) != 32 {
			t.Errorf("%s: the bus is %q, not %q", place, got, want)
		}
	}
	if got := inside(t, []string{"DBUS_SESSION_BUS_ADDRESS="}, "echo entered"); got != "entered" {
		t.Errorf("without a bus: %q", got)
	}
}

func TestSSHAgent(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	host(t, "ssh-keygen -q -t ed25519 -N '' -C tbx-terminal -f "+key)
	want := host(t, "ssh-keygen -lf "+key)
	for place, dir := range dirs(t) {
		socket := dir + "/agent"
		serve(t, "ssh-agent", "-D", "-a", socket)
		appears(t, socket)
		env := "SSH_AUTH_SOCK=" + socket
		host(t, env+" ssh-add -q "+key)
		if got := inside(t, []string{env}, "ssh-add -l"); got != want {
			t.Errorf("%s: the agent has %q, not %q", place, got, want)
		}
	}
}

// A host that describes NVIDIA's devices by CDI: what the description adds, a
// variable, a file and a device, is there in every session.
func TestCDI(t *testing.T) {
	const spec = "/run/cdi/tbx-terminal.json"
	labOnly(t, "/run/cdi")
	if out := host(t, "cat /etc/cdi/* /run/cdi/* 2>/dev/null || true"); strings.Contains(out, "nvidia.com/gpu") {
		t.Fatal("this host has NVIDIA's devices already; the test would change them")
	}
	file := filepath.Join(t.TempDir(), "driver")
	if err := os.WriteFile(file, []byte("the driver's version\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	asRoot(t, fmt.Sprintf(`mkdir -p /run/cdi; cat >%s <<'E'
{"cdiVersion": "0.3.0", "kind": "nvidia.com/gpu",
 "devices": [{"name": "all", "containerEdits": {
  "env": ["TBX_TEST_CDI=from the description"],
  "mounts": [{"hostPath": "%s", "containerPath": "/opt/driver", "options": ["ro", "bind"]}],
  "deviceNodes": [{"path": "/dev/null"}]}}]}
E`, spec, file))
	t.Cleanup(func() { asRoot(t, "rm "+spec) })
	name := newBox(t, "cdi", nil)
	if got := tbx(t, nil, "run", name, "--", "sh", "-c", `echo "$TBX_TEST_CDI"; cat /opt/driver`); got != "from the description\nthe driver's version\n" {
		t.Errorf("inside: %q", got)
	}
	without := newBox(t, "cdi-without", nil, "--no-gpu")
	if got := tbx(t, nil, "run", without, "--", "sh", "-c", `echo "$TBX_TEST_CDI"; ls /opt`); got != "\n" {
		t.Errorf("with --no-gpu: %q", got)
	}
}

// A device that is plugged in while the toolbox runs is there, and gone again.
func TestHotPlug(t *testing.T) {
	t.Parallel()
	dev := fmt.Sprintf("/dev/tbx-terminal-%d", os.Getpid())
	if _, code := try(t, nil, "tbx", "run", box, "--", "test", "-e", dev); code == 0 {
		t.Fatal(dev + " is there already")
	}
	asRoot(t, "mknod -m 666 "+dev+" c 1 5") // zero
	plugged := true
	t.Cleanup(func() {
		if plugged {
			asRoot(t, "rm "+dev)
		}
	})
	if got := inside(t, nil, "head -c 3 "+dev+" | od -An -tx1"); got != "00 00 00" {
		t.Errorf("read from the device: %q", got)
	}
	asRoot(t, "rm "+dev)
	plugged = false
	if _, code := try(t, nil, "tbx", "run", box, "--", "test", "-e", dev); code == 0 {
		t.Error("the device is there after it was pulled out")
	}
}

// A locale that the caller uses and the image does not have is made from the
// image's sources.
func TestLocale(t *testing.T) {
	t.Parallel()
	if got := inside(t, nil, "locale -a"); strings.Contains(got, "de_DE") {
		t.Fatalf("the image has the locale already:\n%s", got)
	}
	env := []string{"LANG=de_DE.UTF-8", "LC_TIME=de_DE.UTF-8"}
	name := newBox(t, "locale", env)
	out := tbx(t, env, "run", name, "--", "sh", "-c", "locale charmap; date -d 2026-11-23 +%A; bash -lc true")
	if out != "UTF-8\nMontag\n" {
		t.Errorf("inside: %q", out)
	}
}

// TestD36_LocaleOfASession: a session's locale is there though another one started the
// toolbox, for each variable, and again when a package has made the archive anew.
func TestD36_LocaleOfASession(t *testing.T) {
	t.Parallel()
	name := newBox(t, "locale-later", []string{"LANG=C"})
	tbx(t, []string{"LANG=C"}, "run", name, "--", "true")
	check := func(when string) { // one is enough: each takes seconds to make
		t.Helper()
		if got := tbx(t, []string{"LANG=C", "LC_NAME=fr_FR.UTF-8"}, "run", name, "--", "locale", "-a"); !strings.Contains(got, "fr_FR.utf8") {
			t.Errorf("%s: there is only %q", when, got)
		}
	}
	check("at the first session")
	tbx(t, nil, "run", name, "--", "sudo", "rm", "/usr/lib/locale/locale-archive")
	check("after a package removed the archive")
}

// The time zone follows the host's while the toolbox runs.
func TestTimeZone(t *testing.T) {
	zone := func() string { return inside(t, nil, "date -d 2026-11-23T12:00:00Z +%Z%z") }
	want := host(t, "date -d 2026-11-23T12:00:00Z +%Z%z")
	if got := zone(); got != want {
		t.Errorf("inside it is %s, on the host %s", got, want)
	}
	// In the lab /etc is the machine's: change a copy that only the lab sees.
	if os.Getenv("TBX_LAB") != "" {
		dir := asRoot(t, "mktemp -d /run/tbx-lab/etc.XXXXXX")
		asRoot(t, "mkdir "+dir+"/upper "+dir+"/work && cp -a /etc/sudoers.d "+dir+"/upper && mount -t overlay -o lowerdir=/etc,upperdir="+dir+"/upper,workdir="+dir+"/work tbx-terminal /etc")
		t.Cleanup(func() { asRoot(t, "umount -l /etc; rm -rf "+dir) })
	} else {
		old := host(t, "readlink /etc/localtime")
		t.Cleanup(func() { asRoot(t, "ln -sfn "+old+" /etc/localtime") })
	}
	for name, want := range map[string]string{"/usr/share/zoneinfo/Asia/Tokyo": "JST+0900", "../usr/share/zoneinfo/America/Lima": "-05-0500"} {
		asRoot(t, "ln -sfn "+name+" /etc/localtime.new && mv -T /etc/localtime.new /etc/localtime")
		if got := zone(); got != want {
			t.Errorf("after the host's change to %s it is %s, not %s", name, got, want)
		}
	}
}

// Neither a session bus nor a runtime directory nor a display in the
// environment, as over ssh or from cron, keeps anybody out.
func TestBareEnvironment(t *testing.T) {
	t.Parallel()
	call := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tbx", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("tbx %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := call("run", box, "--", "sh", "-c", "id -un; test -O $XDG_RUNTIME_DIR && echo ours"); got != os.Getenv("USER")+"\nours\n" {
		t.Errorf("in a running toolbox: %q", got)
	}
	name := other + "bare"
	remove(name)
	t.Cleanup(func() { remove(name) })
	call("create", "--image", image, "--home", home, name)
	if got := call("--quiet", "run", name, "--", "sh", "-c", "sudo -n id -u"); got != "0\n" {
		t.Errorf("in a new toolbox: %q", got)
	}
}

func TestSystemBus(t *testing.T) {
	t.Parallel()
	const socket = "/run/dbus/system_bus_socket"
	if _, err := os.Stat(socket); err != nil { // the lab has none
		labOnly(t, "/run/dbus")
		asRoot(t, fmt.Sprintf("chown %d /run/dbus", os.Getuid()))
		// With the session's rules: dbus-daemon ends when it may not have the
		// 65536 descriptors that the system's rules want.
		serve(t, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:path="+socket)
		appears(t, socket)
	}
	name := newBox(t, "system-bus", nil)
	const call = "dbus-send --system --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId"
	want := host(t, call)
	if got := strings.TrimSpace(tbx(t, nil, append([]string{"run", name, "--"}, strings.Fields(call)...)...)); got != want || len(got) != 32 {
		t.Errorf("the bus is %q, not %q", got, want)
	}
}

// gpg inside talks to the host's agent, whose socket has a fixed place, and
// starts none of its own.
func TestGPGAgent(t *testing.T) {
	t.Parallel()
	const pid = "gpg-connect-agent --no-autostart 'GETINFO pid' /bye"
	if out, _ := try(t, nil, "sh", "-c", pid); !strings.HasPrefix(out, "D ") {
		if keys := filepath.Join(os.Getenv("HOME"), ".gnupg"); os.Mkdir(keys, 0o700) == nil {
			t.Cleanup(func() { os.RemoveAll(keys) })
		}
		host(t, "gpgconf --launch gpg-agent")
		t.Cleanup(func() { exec.Command("gpgconf", "--kill", "gpg-agent").Run() })
	}
	want := host(t, pid)
	if got := inside(t, nil, pid); got != want || !strings.HasPrefix(got, "D ") {
		t.Errorf("the agent is %q, not %q", got, want)
	}
}
