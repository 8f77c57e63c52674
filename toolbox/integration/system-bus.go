package integration

// SystemBus is the key of the D-Bus system bus.
const SystemBus = "system-bus"

var systemBus = Integration{
	Key: SystemBus, What: "the D-Bus system bus",
	How:           "`/run/dbus/system_bus_socket` is a link (h)",
	NeedsHostView: true,
	Variables:     []string{"DBUS_SYSTEM_BUS_ADDRESS"},
	Links:         []string{"/run/dbus/system_bus_socket"},
}
