package auto

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Bus is what is asked of the machine's services. Where one of them is not there, nothing
// speaks against an update: its error counts as "no".
type Bus interface {
	Metered(ctx context.Context) (bool, error)
	Sessions(ctx context.Context) ([]Session, error)
}

// Session is one of logind's, org.freedesktop.login1(5).
type Session struct {
	User      string
	UID       int
	Class     string // user, greeter, lock-screen, manager, background
	Type      string // x11, wayland, tty, unspecified
	State     string // online, active, closing
	Remote    bool
	Idle      bool
	IdleSince time.Time
}

// SystemBus asks over D-Bus.
type SystemBus struct{ Root string }

// patienceOfBus is how long a service may take for one answer.
const patienceOfBus = 5 * time.Second

func (b SystemBus) connect(ctx context.Context) (*dbus.Conn, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfBus)
	conn, err := dbus.Connect("unix:path="+dbus.EscapeBusAddressValue(b.Root+"/run/dbus/system_bus_socket"), dbus.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("the system bus: %w", err)
	}
	return conn, func() { conn.Close(); cancel() }, nil
}

// Metered is NetworkManager's property of that name: 1 is yes, 3 a guess of yes.
func (b SystemBus) Metered(ctx context.Context) (bool, error) {
	conn, closeConn, err := b.connect(ctx)
	if err != nil {
		return false, err
	}
	defer closeConn()
	// GetProperty would start a service that is not used here.
	call := conn.Object("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager").Call(
		"org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, "org.freedesktop.NetworkManager", "Metered")
	var v dbus.Variant
	if err := call.Store(&v); err != nil {
		return false, fmt.Errorf("NetworkManager: %w", err)
	}
	n, ok := v.Value().(uint32)
	return ok && (n == 1 || n == 3), nil
}

// Sessions are logind's, by their properties: the text of loginctl is for people and
// changed twice (fedora-coreos-tracker#1547, #1880).
func (b SystemBus) Sessions(ctx context.Context) ([]Session, error) {
	conn, closeConn, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn()
	var list []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	const name = "org.freedesktop.login1"
	if err := conn.Object(name, "/org/freedesktop/login1").Call(name+".Manager.ListSessions", 0).Store(&list); err != nil {
		return nil, fmt.Errorf("logind: %w", err)
	}
	var out []Session
	for _, l := range list {
		var props map[string]dbus.Variant
		if err := conn.Object(name, l.Path).Call("org.freedesktop.DBus.Properties.GetAll", 0, name+".Session").Store(&props); err != nil {
			continue // it has ended meanwhile
		}
		s := Session{User: l.User, UID: int(l.UID)}
		for key, into := range map[string]any{"Class": &s.Class, "Type": &s.Type, "State": &s.State, "Remote": &s.Remote, "IdleHint": &s.Idle} {
			if v, ok := props[key]; ok && v.Store(into) != nil {
				return nil, fmt.Errorf("logind: the property %s of session %s is %s", key, l.ID, v)
			}
		}
		var since uint64 // microseconds
		if v, ok := props["IdleSinceHint"]; ok && v.Store(&since) == nil && since > 0 {
			s.IdleSince = time.UnixMicro(int64(since))
		}
		out = append(out, s)
	}
	return out, nil
}
