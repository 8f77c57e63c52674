package integration

import (
	"path/filepath"

	"github.com/tbx-project/tbx/internal/envset"
)

// Wayland is the key of the Wayland display.
const Wayland = "wayland"

var wayland = Integration{
	Key: Wayland, What: "the Wayland display",
	How:       "`WAYLAND_DISPLAY`; the socket by the runtime directory",
	Variables: []string{"WAYLAND_DISPLAY"},
	Runtime: func(f *Facts) []string {
		if d := envset.Get(f.Env, "WAYLAND_DISPLAY"); d != "" && !filepath.IsAbs(d) {
			return []string{filepath.Base(d)}
		}
		return []string{"wayland-0"} // libwayland's default, wl_display_connect(3)
	},
}
