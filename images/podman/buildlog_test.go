package podman

import (
	"errors"
	"slices"
	"strings"
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

func TestBuildLogOfOtherFailures(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
		kind  error
		hint  string
	}{
		{[]string{"[1/2] STEP 1/2: FROM x AS one", "[1/2] STEP 2/2: RUN echo because; false", "because", "Error: building at STEP"},
			"image t: build of /f: [1/2] 2/2: RUN echo because; false: building at STEP", nil, "the step said: because"},
		{[]string{"STEP 1/2: FROM --platform=linux/arm64 r.org/x:1", "Trying to pull r.org/x:1...", "Error: pinging container registry r.org: no such host"},
			"image t: build of /f: image r.org/x:1: pull: registry not reachable: pinging container registry r.org: no such host", fail.Unable, "check the network"},
		{[]string{"STEP 1/1: FROM localhost/x", "Error: pinging container registry localhost: connection refused"},
			"image t: build of /f: image localhost/x: it is not in the local store", fail.NotFound, "tbx image list"},
		{[]string{"STEP 1/2: RUN x", "I/O error", `time="…" level=error msg="no space left on device"`, "Error: exit status 1"},
			"image t: build of /f: 1/2: RUN x: disk full: exit status 1", fail.Unable, "the step said: I/O error"},
		{[]string{"Error: no FROM statement found"}, "image t: build of /f: no FROM statement found", nil, ""},
	} {
		var log buildLog
		for _, line := range c.lines {
			log.heard(line)
		}
		err := log.failure(images.Build{Tag: "t", File: "/f"}, errors.New("exit status 1"))
		if hints := strings.Join(fail.Hints(err), "\n"); err.Error() != c.want || !strings.HasPrefix(hints, c.hint) || c.hint == "" && hints != "" || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%v, hints %q", err, hints)
		}
	}
}
