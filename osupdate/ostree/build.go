package ostree

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// localRef is where trees of the owner's own are kept; newRef holds one until it
// is deployed, so that the host never follows a tree that cannot be.
const (
	localRef = "tbx/local"
	newRef   = "tbx/new"
)

var _ osupdate.Builder = (*Backend)(nil)

// BuildPlan commits a file system tree to the sysroot's own repository and
// deploys it; the host follows that local ref from then on. The tree is the
// directory src, or what an image built from a Containerfile holds.
func (b *Backend) BuildPlan(ctx context.Context, s *osupdate.State, src string) (*osupdate.Plan, error) {
	args, err := b.osArg(s)
	if err != nil {
		return nil, err
	}
	p := &osupdate.Plan{Request: osupdate.Request{Verb: osupdate.BuildVerb, Target: localRef}, NeedsRoot: b.booted, NeedsBoot: true,
		Reversible: true}
	var tree []string
	if file, _ := osupdate.FindContainerfile(src); file != "" {
		p.Network = true
		if tree, err = b.imageTree(p, src); err != nil {
			return nil, err
		}
	} else {
		if !hasKernel(src) {
			return nil, fail.New(osupdate.ErrNotFound, "%s has neither a Containerfile nor a kernel, usr/lib/modules/VERSION/vmlinuz", src).
				Hint("name a file system tree that can boot, or a directory with a Containerfile")
		}
		tree = append([]string{"--tree=dir=" + src}, labels(src)...)
	}
	commit := []string{b.ostree, "commit", "--repo=" + b.repo(), "--branch=" + newRef, "--skip-if-unchanged", "--subject=tbx host build",
		"--add-metadata-string=version=" + time.Now().UTC().Format("local.20060102.150405")}
	origin := &osupdate.Origin{Groups: []osupdate.OriginGroup{{Name: "origin", Keys: [][2]string{{"refspec", localRef}}}}}
	p.Steps = append(p.Steps, osupdate.Step{
		Argv: append(commit, tree...), Effect: "commit the tree to the host's own repository, unless it is there already",
		Enough: func(ctx context.Context) (string, error) { return b.builtAlready(ctx, s.Head()) },
	})
	if b.booted {
		args = append(args, "--stage") // today's /etc is merged at shutdown, not now
	}
	b.step(p, "boot it next, and follow "+localRef, "deploy", append(args, "--origin-file="+osupdate.OriginFile, newRef)...).Origin = origin
	p.Steps = append(p.Steps, osupdate.Step{
		Argv:   []string{b.ostree, "refs", "--repo=" + b.repo(), "--force", "--create=" + localRef, newRef},
		Effect: "make it what " + localRef + " names",
	})
	return p, nil
}

// builtAlready says so when what was committed is what next holds, and what the
// host follows; the latter is not so after a build that was killed.
func (b *Backend) builtAlready(ctx context.Context, next *osupdate.Deployment) (string, error) {
	if next == nil || next.Tracks != localRef {
		return "", nil
	}
	for _, ref := range []string{newRef, localRef} {
		commit, err := b.run(ctx, b.ostree, "--repo="+b.repo(), "rev-parse", ref)
		if err != nil || strings.TrimSpace(commit) != next.Checksum {
			return "", err
		}
	}
	return "it is what " + next.Name() + " holds, which boots next already", nil
}

// labels has ostree label files by the SELinux policy of the tree in dir, and is
// nothing where that has none. Only root may give a file a label.
func labels(dir string) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"--selinux-policy=" + dir}
}

// imageTree adds the steps that build the image and write its files into one
// archive, and returns how ostree is to read that.
func (b *Backend) imageTree(p *osupdate.Plan, src string) ([]string, error) {
	steps, err := osupdate.ContainerBuild(b.tools, src)
	if err != nil {
		return nil, err
	}
	const (
		container = "tbx-host-build" // one name: what a killed tbx left is replaced
		archive   = osupdate.ScratchDir + "/tree.tar"
	)
	podman := steps[0].Argv[0]
	p.Steps = append(steps,
		osupdate.Step{Argv: []string{podman, "create", "--replace", "--name", container, "--network=none", "--pull=never", osupdate.LocalImage,
			"true"}, Effect: "make a container of it, which never runs"},
		osupdate.Step{Argv: []string{podman, "export", "--output", archive, container}, Effect: "take the container's files"},
	)
	policy := labels(osupdate.ScratchDir + "/policy")
	if policy != nil {
		p.Steps = append(p.Steps, osupdate.Step{Argv: []string{podman, "cp", container + ":/etc", osupdate.ScratchDir + "/policy"},
			Effect: "take its /etc once more, for the SELinux policy in it"})
	}
	p.Steps = append(p.Steps, osupdate.Step{Argv: []string{podman, "rm", container}, Effect: "remove the container"})
	// An image has its defaults in /etc, an OSTree commit in /usr/etc.
	// ostree 2022.7 makes directories that have no entry in the archive root's own,
	// whoever calls; here those are / and /usr. They are taken from a directory.
	tree := []string{"--tree=tar=" + archive, "--tar-autocreate-parents", `--tar-pathname-filter=^etc(/.*|$),usr/etc\1`,
		"--tree=dir=" + osupdate.ScratchDir + "/frame"}
	if uid := os.Geteuid(); uid != 0 { // nobody but root can give files away
		tree = append(tree, "--owner-uid="+strconv.Itoa(uid), "--owner-gid="+strconv.Itoa(os.Getegid()), "--no-xattrs")
	}
	return append(tree, policy...), nil
}

// hasKernel says whether dir has a kernel in one of the places where ostree
// looks for it.
func hasKernel(dir string) bool {
	for _, pattern := range []string{"usr/lib/modules/*/vmlinuz", "usr/lib/ostree-boot/vmlinuz-*", "boot/vmlinuz-*"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
