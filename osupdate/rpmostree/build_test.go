package rpmostree_test

import (
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

const localOrigin = "ostree-unverified-image:containers-storage:" + osupdate.LocalImage

// TestBuild: from a layered host, its layers must go; from one that follows the
// built image, the next build is an upgrade.
func TestBuild(t *testing.T) {
	image := strings.ReplaceAll(data(t, "image"), "ostree-image-signed:docker://quay.io/fedora/fedora-silverblue:43", localOrigin)
	if !strings.Contains(image, localOrigin) {
		t.Fatal("the recorded host follows another image")
	}
	again := strings.Replace(image, `"id": "`, `"id": "new-`, 1)
	for _, c := range []struct {
		before, after string
		cases         []osupdatetest.BuildCase
	}{
		{data(t, "clean"), image, append(osupdatetest.BuildFailures(), osupdatetest.BuildCase{Name: "from a ref", Updater: []string{"rebase " + localOrigin}, To: "built"})},
		{data(t, "layered"), image, []osupdatetest.BuildCase{{Name: "layered", Updater: []string{"reset", "rebase " + localOrigin}, To: "built"}}},
		{image, again, []osupdatetest.BuildCase{{Name: "again", Updater: []string{"upgrade --unchanged-exit-77"}, To: "built"}}},
	} {
		status := []osupdatetest.Call{{In: "clean", Args: "status --json", Stdout: c.before}, {In: "built", Args: "status --json", Stdout: c.after, Maybe: true}}
		osupdatetest.RunBuild(t, "rpm-ostree", status, c.cases, func(t *testing.T, tool *osupdatetest.Tool) osupdate.Config {
			return config(t, tool, nil)
		})
	}
}
