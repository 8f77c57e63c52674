package podman

import (
	"errors"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// What podman 4.3 said of a build on a full disk.
func TestBuildLog(t *testing.T) {
	var log buildLog
	for _, line := range []string{
		"STEP 1/2: FROM localhost/base:1", "STEP 2/2: RUN head -c 60000000 /dev/zero >/file", "Error: of a program", "head: standard output: I/O error",
		`time="2026-11-25T21:02:58Z" level=error msg="error unmounting container: no space left on device"`,
		`Error: deleting build container "0c2d": 2 errors occurred:`, "\t* write layers.json: no space left on device",
		"\t* write containers.json: no space left on device", `: building at STEP "RUN head": while running runtime: exit status 1`,
	} {
		log.heard(line)
	}
	err := log.failure(images.Build{Tag: "localhost/full:1", File: "/f/Containerfile"}, errors.New("exit status 1"))
	const want = `image localhost/full:1: build of /f/Containerfile: 2/2: RUN head -c 60000000 /dev/zero >/file: disk full: deleting build container "0c2d": ` +
		`2 errors occurred: * write layers.json: no space left on device * write containers.json: no space left on device : building at STEP "RUN head": while running runtime: exit status 1`
	if !errors.Is(err, images.ErrDiskFull) || err.Error() != want {
		t.Errorf("%v", err)
	}
	if hints := fail.Hints(err); !slices.Equal(hints[:2], []string{"the step said: of a program", "the step said: head: standard output: I/O error"}) || len(hints) != 4 {
		t.Errorf("%q", hints)
	}
}
