package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// Timezone is the key of the time zone.
const Timezone = "timezone"

var timezone = Integration{
	Key: Timezone, What: "the time zone",
	How: "`/etc/localtime` is a link (h); `/etc/timezone`, where the image or the host has it, is a file with the " +
		"zone's name, written at every start; and `TZ`",
	NeedsHostView: true,
	Isolated:      true,
	Variables:     []string{"TZ"},
	Follow:        []string{"localtime"},
	Setup: func(f *Facts, c *boxinit.Config) {
		if f.Has(HostView) {
			c.Zone, c.ZoneAt = f.Zone()
		}
	},
}
