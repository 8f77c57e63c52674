package osupdate

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/fail"
)

// Builder is a Backend that can boot a system that the owner has built.
type Builder interface {
	// BuildPlan makes a system from src, a directory with a Containerfile or a
	// file system tree, or a Containerfile, and boots it next.
	BuildPlan(ctx context.Context, s *State, src string) (*Plan, error)
}

// LocalImage is the name of the image that Build makes.
const LocalImage = "localhost/tbx-host:latest"

// Build makes the owner's own host system and boots it next. It runs the commands in src
// as root, so only root may ask for it, never an ordinary user's order.
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
		return nil, fail.Wrap(ErrNotFound, err, "there is nothing to build from").
			Hint("name a directory with a Containerfile, or a Containerfile; a first one comes from: tbx host export-containerfile")
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

// FindContainerfile returns the Containerfile at or in src, and the directory for its
// COPY lines; an empty file if there is none.
func FindContainerfile(src string) (file, dir string) {
	fi, err := os.Stat(src)
	if err != nil {
		return "", ""
	}
	if fi.Mode().IsRegular() {
		return src, filepath.Dir(src)
	}
	for _, name := range []string{"Containerfile", "Dockerfile"} {
		if fi, err := os.Stat(filepath.Join(src, name)); err == nil && fi.Mode().IsRegular() {
			return filepath.Join(src, name), src
		}
	}
	return "", ""
}

// ContainerBuild returns the steps that make LocalImage from src, and lint it if the
// image has bootc.
func ContainerBuild(t *Tools, src string) ([]Step, error) {
	podman, err := t.Path("podman")
	if err != nil {
		return nil, err
	}
	file, dir := FindContainerfile(src)
	if file == "" {
		return nil, fail.New(ErrNotFound, "there is no Containerfile in %s", src).
			Hint("start from the running system: tbx host export-containerfile > Containerfile")
	}
	lint := "if command -v bootc >/dev/null; then exec bootc container lint; fi"
	return []Step{
		{
			Argv: []string{podman, "build", "--tag", LocalImage, "--file", file, dir}, Effect: "build the image " + LocalImage + " from " + file,
			Show: true, Explain: explainBuild,
		}, {
			Argv:   []string{podman, "run", "--rm", "--network=none", "--pull=never", LocalImage, "sh", "-c", lint},
			Effect: "look for mistakes in it, where it has bootc",
			Show:   true, Explain: explainLint,
		},
	}, nil
}

func explainBuild(te *ToolError) error {
	return Explain("the build", []Rule{
		NewRule(`(?i)manifest unknown|name unknown|repository .* not found|requested access to the resource is denied`, ErrNotFound,
			"its registry does not have the image of a FROM line", "check its name and tag; the host is unchanged"),
		NewRule(`while running runtime: exit status (\d+)`, ErrBackend,
			"a command of the Containerfile ended with code %s", "correct it, and build again; the host is unchanged"),
	}, te)
}

func explainLint(te *ToolError) error {
	if te.Code == 0 {
		return nil
	}
	return fail.Wrap(ErrBackend, te, "the image was built, and bootc found mistakes in it").
		Hint("correct these, and build again; the host is unchanged")
}
