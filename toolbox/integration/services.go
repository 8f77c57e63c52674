package integration

// HostServices is the key of sockets of the host's services.
const HostServices = "services"

var hostServices = Integration{
	Key: HostServices, What: "sockets of the host's services (Avahi, CUPS, smart cards, Kerberos, journal)",
	How: "the journal, logind's state, Avahi, CUPS, smart cards (pcscd), Kerberos (KCM), libvirt: links (h) at the " +
		"usual paths, unless a daemon of the toolbox's listens there; a copy of the machine id",
	NeedsHostView: true,
	Copy:          []string{"machine-id"},
	Links: []string{
		"/run/systemd/journal", "/run/systemd/sessions", "/run/systemd/seats", "/run/systemd/users", "/var/log/journal", "/run/log/journal",
		"/run/avahi-daemon/socket", "/run/cups/cups.sock", "/run/pcscd/pcscd.comm", "/run/.heim_org.h5l.kcm-socket", "/run/libvirt",
	},
}
