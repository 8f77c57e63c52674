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

// Attach moves the process pid into the toolbox's cgroup. Without it a session
// in a container with the host's pid namespace would survive podman stop, so a
// toolbox that has a cgroup must not be entered when this fails.
//
// The user may not write the cgroup's own cgroup.procs (it belongs to a subuid,
// and the common ancestor of a login session is root's), so the user's service
// manager is asked: org.freedesktop.systemd1(5), AttachProcessesToUnit.
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
	manager := filepath.Join(runtimeDir, "systemd/private")
	if err := callOnce(manager, attachTimeout, &dbus.Message{
		Type: dbus.TypeMethodCall,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.systemd1"),
			dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
			dbus.FieldInterface:   dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
			dbus.FieldMember:      dbus.MakeVariant("AttachProcessesToUnit"),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(unit, below, []uint32{})),
		},
		Body: []any{unit, below, []uint32{uint32(pid)}},
	}); err != nil {
		return fmt.Errorf("%w: its cgroup cannot be joined by the user's service manager: %w", ErrStale, err)
	}
	return nil
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
