package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// Bridge is the key of host commands.
const Bridge = "bridge"

var bridge = Integration{
	Key: Bridge, What: "host commands, which the host's policy allows (tbx host-exec)",
	How: "`tbx host-exec`, and the [host's commands by name](host-policy.md), under a policy; a directory below the " +
		"runtime directory with the socket of the host's agent",
	Isolated: true,
	// In other toolboxes the initialiser links the directory, which is in a shared one.
	Mounts: func(f *Facts) []Mount {
		if !f.Isolated || f.Bridge == "" {
			return nil
		}
		return []Mount{{
			Type: "bind", Source: f.Bridge, Target: boxinit.Bridge, Options: []string{"rbind", "nosuid", "nodev", "z", "ro", "rprivate"},
			Reason: "requests to the host, each of which your policy must allow",
		}}
	},
	Setup: func(_ *Facts, c *boxinit.Config) { c.HostExec = true },
}
