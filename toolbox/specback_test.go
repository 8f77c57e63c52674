package toolbox

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// D8: a specification that is lost is made of what its container carries.
func TestD8_CarriedSpecification(t *testing.T) {
	h := &Host{UID: 1000, Home: "/home/dev", RealHome: "/home/dev", RuntimeDir: "/run/user/1000", HasRuntime: true}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	made := &Spec{Version: SpecVersion, ID: "abababababababababababababababab", Created: created, Image: "localhost/debian:12", ImageID: "0f", Env: []string{"A=1\n", "B="}, Without: []string{integration.Tmp}}
	box := func(labels map[string]string) *Box {
		all := map[string]string{LabelID: made.ID, LabelSpec: made.Hash(), LabelIsolated: strconv.FormatBool(made.Isolated)}
		for k, v := range labels {
			all[k] = v
		}
		return &Box{Name: "x", Container: Container{
			ID: "c", Image: made.Image, ImageID: made.ImageID, Created: created.Add(2500 * time.Millisecond), Labels: all, NamesTable: t.TempDir() + "/containers.json",
			Mounts: []Mapping{{Source: "/home/dev", Target: "/home/dev"}, {Source: "/dev", Target: "/dev"}, {Source: "/run/user/1000", Target: "/run/user/1000"}, {Source: "/b", Target: boxinit.BoxDir}},
		}}
	}
	if s, exact := box(map[string]string{LabelSpecification: made.specLabel()}).carried(h); s == nil || !exact || s.Hash() != made.Hash() {
		t.Errorf("by its label: %+v", s)
	}

	// A label that is not of this specification is the image's.
	other := *made
	other.Env = []string{"EVIL=1"}
	if s, exact := box(map[string]string{LabelSpecification: other.specLabel()}).carried(h); s == nil || exact || slices.Contains(s.Env, "EVIL=1") {
		t.Errorf("by another's label: %+v, %v", s, exact)
	}

	// Made before there was a label, and of nothing that podman does not know.
	made.Env = nil
	if s, exact := box(nil).carried(h); s == nil || !exact || s.Hash() != made.Hash() {
		t.Errorf("by its mounts: %+v, %v", s, exact)
	}
	b := box(map[string]string{LabelSpec: "another"})
	b.Mounts = append(b.Mounts, Mapping{Source: "/srv", Target: "/data", Options: []string{"rbind", "ro"}})
	b.Mounts[0].Source = "/home/dev/own"
	if s, exact := b.carried(h); s == nil || exact || s.Home != "/home/dev/own" || !slices.Equal(s.Volumes, []string{"/srv:/data:ro"}) || !s.Created.Equal(created.Add(2*time.Second)) {
		t.Errorf("a guess: %+v, %v", s, exact)
	}

	// What an isolated one may change is not guessed.
	if s, _ := box(map[string]string{LabelIsolated: "true"}).carried(h); s != nil {
		t.Errorf("of an isolated one: %+v", s)
	}
}
