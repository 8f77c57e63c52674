package provision

import (
	"slices"
	"testing"

	"github.com/tbx-project/tbx/images"
)

// S2: what is left out of an image is what is said of it.
func TestS2_Suspicious(t *testing.T) {
	img := images.Image{
		Env:    []string{"PATH=/bin", "LD_PRELOAD=/x.so", "TBX_TOKEN=x", "BASH_ENV=/x", "LANG=C"},
		Labels: map[string]string{"io.tbx.spec": "1", "io.tbx.id": "x", "a": "b"},
	}
	if got := Suspicious(img); !slices.Equal(got, []string{"LD_PRELOAD=/x.so", "TBX_TOKEN=x", "BASH_ENV=/x", "label io.tbx.id", "label io.tbx.spec"}) {
		t.Errorf("%q", got)
	}
}
