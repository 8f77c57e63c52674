package join

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// attachTimeout bounds one call to the user's service manager, which takes about 2 ms.
const attachTimeout = 2 * time.Second

// Attach moves the process pid into the toolbox's cgroup. Without it a session in a
// container with the host's pid namespace would survive podman stop, so a toolbox with a
// cgroup must not be entered if this fails.
//
// The user may not write the cgroup's own cgroup.procs (it belongs to a subuid, and the
// common ancestor of a login session is root's), so the user's service manager must do
// it: org.freedesktop.systemd1(5), AttachProcessesToUnit.
func (t *Target) Attach(runtimeDir string, pid int) error {
	if t.cgroup == "" {
		return nil
	}
	unit, below := splitUnit(t.cgroup)
	if unit == "" {
		procs := filepath.Join("/sys/fs/cgroup", t.cgroup, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("%w: its cgroup cannot be joined: %w", ErrStale, err)
		}
		return nil
	}
	if err := callManager(runtimeDir, "AttachProcessesToUnit", unit, below, []uint32{uint32(pid)}); err != nil {
		return fmt.Errorf("%w: its cgroup cannot be joined by the user's service manager: %w", ErrStale, err)
	}
	return nil
}

// leave moves this process out of the cgroup of a toolbox that has ended: podman's next
// start kills all processes there. from is the cgroup that the process was in before.
func (t *Target) leave(runtimeDir, from string) error {
	switch unit, _ := splitUnit(t.cgroup); {
	case t.cgroup == "":
		return nil
	case unit != "":
		return OwnScope(runtimeDir, "tbx")
	}
	return os.WriteFile(filepath.Join("/sys/fs/cgroup", from, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// OwnScope moves this process into a scope NAME-PID of the user's service manager, and
// returns when it is there: out of the login session, which lasts as long as any of its
// processes, and with it all services of the user.
func OwnScope(runtimeDir, name string) error {
	type property struct {
		Name  string
		Value dbus.Variant
	}
	type unit struct {
		Name       string
		Properties []property
	}
	scope := name + "-" + strconv.Itoa(os.Getpid()) + ".scope"
	pids := []property{{"PIDs", dbus.MakeVariant([]uint32{uint32(os.Getpid())})}}
	if err := callManager(runtimeDir, "StartTransientUnit", scope, "fail", pids, []unit{}); err != nil {
		return err
	}
	for end := time.Now().Add(attachTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if now, err := os.ReadFile("/proc/self/cgroup"); err != nil || strings.Contains(string(now), scope) {
			return err
		}
	}
	return fmt.Errorf("the user's service manager has not started %s", scope)
}

// callManager calls a method of the user's service manager.
func callManager(runtimeDir, method string, args ...any) error {
	return callOnce(filepath.Join(runtimeDir, "systemd/private"), attachTimeout, &dbus.Message{
		Type: dbus.TypeMethodCall,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.systemd1"),
			dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
			dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
			dbus.FieldMember:      dbus.MakeVariant(method),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(args...)),
		},
		Body: args,
	})
}

// UnitDir returns the directory of the cgroup of a process's unit, as systemd and the
// runtime made it: its files are the user's.
func UnitDir(pid int) (string, error) {
	cgroup, err := cgroupOf(pid)
	if err != nil {
		return "", err
	}
	unit, below := splitUnit(cgroup)
	if unit == "" {
		return "", fmt.Errorf("%w: it is in no unit", ErrStale)
	}
	return path.Join("/sys/fs/cgroup", strings.TrimSuffix(cgroup, below)), nil
}

// splitUnit finds the scope in a cgroup path such as
// "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container":
// the unit's name and the path below it.
func splitUnit(cgroup string) (unit, below string) {
	for dir := cgroup; dir != "/" && dir != "."; dir = path.Dir(dir) {
		if base := path.Base(dir); strings.HasSuffix(base, ".scope") {
			return base, strings.TrimPrefix(cgroup, dir)
		}
	}
	return "", ""
}
