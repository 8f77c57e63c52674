package integration

// SessionBus is the key of the D-Bus session bus and what is reached beside it.
const SessionBus = "dbus"

var sessionBus = Integration{
	Key: SessionBus, What: "the D-Bus session bus",
	How: "`DBUS_SESSION_BUS_ADDRESS`; the socket in the runtime directory; with it systemd's user manager, dconf, gvfs, " +
		"portals, accessibility",
	Variables: []string{"DBUS_SESSION_BUS_ADDRESS"},
	Runtime:   func(*Facts) []string { return []string{"bus", "systemd", "at-spi", "dconf", "gvfs", "doc"} },
}
