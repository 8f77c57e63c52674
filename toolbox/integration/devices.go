package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// Devices is the key of the host's devices.
const Devices = "devices"

var devices = Integration{
	Key: Devices, What: "the devices in /dev",
	How: "the host's `/dev` is mounted, so that devices come and go; terminals (`/dev/pts`) are the toolbox's own; `/run/udev` is a link (h)",
	Mounts: func(*Facts) []Mount {
		return []Mount{bind(Devices, "/dev", "/dev", "devices of the host, as they come and go"), {
			Type: "devpts", Target: "/dev/pts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
			Reason: "terminals of its own, which sudo needs",
		}}
	},
	Links: []string{"/run/udev"},
	Setup: func(_ *Facts, c *boxinit.Config) { c.NoDevices = false },
}
