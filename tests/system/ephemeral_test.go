//go:build system

package system_test

import (
	"strings"
	"testing"
	"time"
)

// TestE63_KilledEphemeral kills tbx at every step of making and removing an ephemeral
// toolbox. The next tbx finds nothing, or removes it, as soon as podman has done what the
// killed one asked of it.
func TestE63_KilledEphemeral(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	run := []string{"tbx", "run", "--ephemeral", "--image", image("busybox"), "true"}
	p.run(0, run...) // the image is mapped once
	whole := length(func() { p.run(0, run...) })
	for i := range kills {
		p.killed(whole, i, killOne, run...)
		p.settle()
		p.run(0, "tbx", "list")
		p.run(0, "tbx", "list")
		for range 100 { // podman removes by itself what it was asked to make with --rm
			if strings.TrimSpace(p.run(0, "podman", "ps", "--all", "--external", "--quiet")) == "" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		p.clean("of no other test", i)
	}
}
