package osupdatetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// Podman declares the two calls of a build from dir/Containerfile.
func Podman(dir string, build, lint Call) []Call {
	build.Args = "build --tag " + osupdate.LocalImage + " --file " + dir + "/Containerfile " + dir
	lint.Args = "run --rm --network=none --pull=never " + osupdate.LocalImage + " sh -c if command -v bootc >/dev/null; then exec bootc container lint; fi"
	return []Call{build, lint}
}

// BuildCase is a host on which an image of the owner's own is built.
type BuildCase struct {
	Name    string
	Build   Call // podman's answers
	Lint    Call
	Updater []string // the calls of the updater that follow; none: it is never reached
	To      string   // the state of the fake host after the last of them
	Want    error
}

// RunBuild carries out each case. open makes a host in state "clean" whose
// updater is the fake program of that name.
func RunBuild(t *testing.T, updater string, status []Call, cases []BuildCase, open func(t *testing.T, tool *Tool) osupdate.Config) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM quay.io/example/desktop\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			podman := Podman(dir, c.Build, c.Lint)
			podman[1].Maybe = c.Build.Code != 0
			calls := slices.Clone(status)
			for i, args := range c.Updater {
				call := Call{Args: args}
				if i == len(c.Updater)-1 {
					call.To = c.To
				}
				calls = append(calls, call)
			}
			tool := NewTool(t, "clean", map[string][]Call{"podman": podman, updater: calls})
			cfg := open(t, tool)
			var said []string
			cfg.Output = func(line string) { said = append(said, line) }
			h, err := osupdate.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			res, err := h.Build(t.Context(), dir, false)
			if !errors.Is(err, c.Want) {
				t.Fatalf("%v, want %v", err, c.Want)
			}
			if err != nil && len(fail.Hints(err)) == 0 {
				t.Errorf("%v: no next step", err)
			}
			if entries, herr := h.History(); herr != nil || len(entries) == 0 || entries[0].Request.Verb != osupdate.BuildVerb {
				t.Errorf("the history does not tell a build: %+v, %v", entries, herr)
			}
			if err != nil && tool.State(t) != "clean" {
				t.Errorf("a build that failed changed the host to %s", tool.State(t))
			}
			if err == nil && !strings.Contains(res.After.Tracks, osupdate.LocalImage) {
				t.Errorf("the host does not follow the image: %+v", res.After)
			}
			for line := range strings.Lines(c.Build.Stdout + c.Build.Stderr) {
				if !slices.Contains(said, strings.TrimSuffix(line, "\n")) {
					t.Errorf("the user did not see %q of the build: %q", line, said)
				}
			}
		})
	}
}

// Failures of a build that are the same for every updater.
func BuildFailures() []BuildCase {
	return []BuildCase{
		{Name: "a command of it fails", Build: Call{Stdout: "STEP 1/2: FROM x\nSTEP 2/2: RUN false\n", Stderr: "Error: building at STEP \"RUN false\": while running runtime: exit status 1\n", Code: 1}, Want: osupdate.ErrBackend},
		{Name: "no such base", Build: Call{Stderr: "Error: creating build container: initializing source docker://quay.io/x:1: reading manifest 1 in quay.io/x: manifest unknown\n", Code: 125}, Want: osupdate.ErrNotFound},
		{Name: "no network", Build: Call{Stderr: "Error: creating build container: pinging container registry quay.io: dial tcp: lookup quay.io: Temporary failure in name resolution\n", Code: 125}, Want: osupdate.ErrNetwork},
		{Name: "disk full", Build: Call{Stderr: "Error: committing container: no space left on device\n", Code: 125}, Want: osupdate.ErrSpace},
		{Name: "lint finds mistakes", Lint: Call{Stdout: "Lint error: kernel: Multiple kernels found\n", Stderr: "error: Checks failed: 1\n", Code: 1}, Want: osupdate.ErrBackend},
	}
}

// Plan is what h would do for r.
func Plan(ctx context.Context, h *osupdate.Host, r osupdate.Request) (*osupdate.Plan, error) {
	res, err := h.Do(ctx, r, true)
	if err != nil {
		return nil, err
	}
	return res.Plan, nil
}
