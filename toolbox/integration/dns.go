package integration

// DNS is the key of name resolution.
const DNS = "dns"

var dns = Integration{
	Key: DNS, What: "name resolution: resolv.conf and hosts",
	How: "`/etc/resolv.conf` and `/etc/hosts` are links (h) that follow the host at once; where the host's hosts file lacks " +
		"the name, a copy with it that follows by inotify; where `/etc/hosts` is a package's (rpm, pacman, apk, xbps), and without " +
		"`host`, copies made at every start",
	Follow: []string{"resolv.conf", "hosts"},
	Links:  []string{"/run/systemd/resolve"},
	Static: []string{"/etc/resolv.conf", "/etc/hosts"},
}
