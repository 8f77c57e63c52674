package layers

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

// TestE2_LayersThatDoNotFit: what is in one container is not put on top of another
// image, under other ids or another storage.
func TestE2_LayersThatDoNotFit(t *testing.T) {
	of := func(change func(*Layer)) *Layer {
		l := &Layer{Container: "b", Image: "i", Driver: "overlay", Upper: "/s/overlay/b/diff", Lower: "/s/overlay/x/diff", UIDs: []string{"0:1:1000"}, GIDs: []string{"0:1:1000"}}
		change(l)
		return l
	}
	a := of(func(l *Layer) { l.Container, l.Upper = "a", "/s/overlay/a/diff" })
	if err := Fit(a, of(func(*Layer) {})); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Layer){
		"different images":      func(l *Layer) { l.Image = "j" },
		"different image":       func(l *Layer) { l.Lower = "/s/overlay/y/diff" },
		"user or group ids":     func(l *Layer) { l.UIDs = []string{"0:1:500"} },
		"different ids outside": func(l *Layer) { l.GIDs = nil },
		"storage driver":        func(l *Layer) { l.Driver = "vfs" },
		"driver btrfs":          func(l *Layer) { l.Driver = "btrfs" },
		"does not say":          func(l *Layer) { l.Upper = "" },
		"are the same":          func(l *Layer) { l.Upper = "/s/overlay/a/diff" },
	} {
		if err := Fit(a, of(change)); !errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
