package osupdate

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/tbx-project/tbx/internal/fail"
)

// Builder is a Backend that can boot a system of the owner's own making.
type Builder interface {
	// BuildPlan makes a system from src, a directory with a Containerfile or a
	// file system tree, or a Containerfile, and boots it next.
	BuildPlan(ctx context.Context, s *State, src string) (*Plan, error)
}

// LocalImage is the name of the image that Build makes.
const LocalImage = "localhost/tbx-host:latest"

// Build makes the owner's own host system and boots it next. It runs what src
// says as root, so that only root itself may ask for it: no order of an ordinary
// user comes here.
func (h *Host) Build(ctx context.Context, src string, dryRun bool) (*Result, error) {
	b, ok := h.be.(Builder)
	if !ok {
		return nil, Unsupported(h.be.Kind(), "build", "its systems are built elsewhere")
	}
	src, err := filepath.Abs(src)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(src); err != nil {
		return nil, fail.Wrap(fail.NotFound, err, "nothing to build from")
	}
	if !h.cfg.Superuser && !dryRun {
		return nil, fail.New(ErrPermission, "to build a host system from %s is for root itself", src).Hint("sudo tbx host build %s", src)
	}
	s, err := h.state(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.BuildPlan(ctx, s, src)
	if err != nil {
		return nil, h.explain(err)
	}
	p.Finish(h.be.Kind(), p.Request)
	p.Backend, p.StateHash = h.be.Kind(), s.Hash()
	if dryRun {
		return &Result{Plan: p, DryRun: true, Before: s.Next(), After: s.Next()}, nil
	}
	return h.apply(ctx, p, s)
}

var buildStep = regexp.MustCompile(`^STEP (\d+)/(\d+):`)

// ContainerBuild returns the steps that make LocalImage from src, and lint it
// where the image has bootc.
func ContainerBuild(t *Tools, src string) ([]Step, error) {
	podman, err := t.Path("podman")
	if err != nil {
		return nil, err
	}
	file, dir := src, filepath.Dir(src)
	if fi, err := os.Stat(src); err == nil && fi.IsDir() {
		dir, file = src, filepath.Join(src, "Containerfile")
		if _, err := os.Stat(file); err != nil {
			return nil, fail.Wrap(fail.NotFound, err, "there is no Containerfile in %s", src).Hint("start from the running system: tbx host export-containerfile > Containerfile")
		}
	}
	progress := func(line string) (Progress, bool) {
		m := buildStep.FindStringSubmatch(line)
		if m == nil {
			return Progress{}, false
		}
		done, err1 := strconv.ParseInt(m[1], 10, 32)
		total, err2 := strconv.ParseInt(m[2], 10, 32)
		return Progress{Task: "build", Done: done, Total: total}, err1 == nil && err2 == nil
	}
	lint := "if command -v bootc >/dev/null; then exec bootc container lint; fi"
	return []Step{
		{Argv: []string{podman, "build", "--tag", LocalImage, "--file", file, dir}, Effect: "build the image " + LocalImage + " from " + file, Read: progress},
		{Argv: []string{podman, "run", "--rm", "--network=none", "--pull=never", LocalImage, "sh", "-c", lint}, Effect: "look for mistakes in it, where it has bootc"},
	}, nil
}
