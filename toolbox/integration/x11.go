package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// X11 is the key of the X11 display.
const X11 = "x11"

var x11 = Integration{
	Key: X11, What: "the X11 display",
	How: "`DISPLAY` and `XAUTHORITY`; the socket by `/tmp`, without `tmp` as a link (h); the host's name is the " +
		"toolbox's, so cookies fit",
	Variables: []string{"DISPLAY", "ICEAUTHORITY", "XAUTHORITY"},
	Setup: func(f *Facts, c *boxinit.Config) {
		if !f.Has(Tmp) {
			c.Links = append(c.Links, "/tmp/.X11-unix")
		}
	},
}
