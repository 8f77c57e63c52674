package toolbox

import (
	"strings"
	"testing"
)

// TestX33_WayOfEachMount: what is found in a home is said with both paths, inside and on the host.
func TestX33_WayOfEachMount(t *testing.T) {
	b := &Box{}
	b.Name = "cell"
	v := Mapping{Source: "/volume", Target: "/home/me"}
	if err := b.obstacle(v, strings.NewReader("")); err != nil {
		t.Error(err)
	}
	err := b.obstacle(v, strings.NewReader(`{"path":"src/job","at":"src","is":"a link"}`+"\n"))
	if err == nil || !strings.Contains(err.Error(), "on the way to /home/me/src/job, /home/me/src is a link") {
		t.Error(err)
	}
	if err := b.obstacle(v, strings.NewReader("other")); err == nil {
		t.Error("an answer in another language is taken")
	}
}
