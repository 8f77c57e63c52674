package provision

import (
	"context"
	"os"
	"runtime"
	"slices"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// Request is a user's request for a new toolbox: the image, how to get it, and the
// options. An empty Name is made from the image's.
type Request struct {
	Image         images.Request
	Containerfile string // build the image from it; Image is empty then
	Fetch
	toolbox.CreateOptions
}

// order is a checked Request: all but the image itself is known.
type order struct {
	choice images.Choice
	build  *images.Build // if the image is built and not fetched
	draft  *toolbox.Draft
}

// settle checks a request, once, before it asks, fetches or changes anything.
func (p *Provisioner) settle(ctx context.Context, r Request) (*order, error) {
	if err := r.Fetch.Check(); err != nil {
		return nil, err
	}
	o := &order{}
	var err error
	if r.Containerfile == "" {
		o.choice, err = p.Choose(ctx, r.Image)
	} else {
		o.choice, o.build, err = built(r)
	}
	if err != nil {
		return nil, err
	}
	if r.Name == "" {
		if r.Name, err = toolbox.ParseName(o.choice.ToolboxName); err != nil {
			return nil, err
		}
	}
	o.draft, err = p.Toolboxes.Draft(r.CreateOptions)
	return o, err
}

// built returns the image and the build of a request with a Containerfile.
func built(r Request) (images.Choice, *images.Build, error) {
	switch {
	case r.Image != (images.Request{}):
		return images.Choice{}, nil, fail.New(fail.Usage, "--containerfile excludes --image, --distro and --release")
	case r.Platform != "":
		return images.Choice{}, nil, fail.New(fail.Usage, "--containerfile builds for this machine, and excludes --platform")
	case r.Pull != "" && r.Pull != string(images.PullMissing):
		return images.Choice{}, nil, fail.New(fail.Usage,
			"--containerfile builds when the file or a file that it copies has changed, and excludes --pull").
			Hint("fetch a newer base image with: tbx image pull IMAGE")
	}
	b, err := images.NewBuild(r.Containerfile, "", nil)
	if err != nil {
		return images.Choice{}, nil, err
	}
	b.AuthFile = r.AuthFile
	ref, err := images.ParseRef(b.Tag)
	return images.Choice{Reference: b.Tag, ToolboxName: ref.Base()}, &b, err
}

// Plan returns the request to podman for r. It changes nothing, and does not look at the
// image: its plan has the image's name.
func (p *Provisioner) Plan(ctx context.Context, r Request) (*toolbox.Plan, error) {
	o, err := p.settle(ctx, r)
	if err != nil {
		return nil, err
	}
	ref := o.choice.Reference
	return p.Toolboxes.Plan(o.draft, toolbox.Image{Reference: ref, ID: ref})
}

// Create makes a toolbox, gets its image if necessary, and returns the toolbox's name. It
// is Plan with the last steps.
func (p *Provisioner) Create(ctx context.Context, r Request) (toolbox.Name, error) {
	o, err := p.settle(ctx, r)
	if err != nil {
		return "", err
	}
	if err := p.Toolboxes.CheckFree(ctx, o.draft.Name); err != nil { // before a download
		return "", err
	}
	img, err := p.image(ctx, o, r)
	if err != nil {
		return "", err
	}
	return o.draft.Name, p.Toolboxes.Create(ctx, o.draft, img)
}

// Ephemeral is Create for a toolbox that is removed when its session ends. It also starts
// it.
func (p *Provisioner) Ephemeral(ctx context.Context, r Request) (*toolbox.Ephemeral, error) {
	o, err := p.settle(ctx, r)
	if err != nil {
		return nil, err
	}
	img, err := p.image(ctx, o, r)
	if err != nil {
		return nil, err
	}
	return p.Toolboxes.Ephemeral(ctx, o.draft, img)
}

// image gets the image of an order.
func (p *Provisioner) image(ctx context.Context, o *order, r Request) (toolbox.Image, error) {
	var img images.Image
	var err error
	if o.build != nil {
		img, err = p.EnsureBuilt(ctx, *o.build, r.UnsignedOK)
	} else {
		img, err = p.Ensure(ctx, o.choice, r.Fetch)
	}
	if err == nil {
		err = checkArch(o.choice.Reference, img.Arch)
	}
	return toolbox.Image{Reference: o.reference(img), ID: img.ID, Env: img.Env}, err
}

// reference returns the image's name for the toolbox's specification.
func (o *order) reference(img images.Image) string {
	if o.choice.Local != "" && slices.Contains(img.Names, o.choice.Local) && !slices.Contains(img.Names, o.choice.Reference) {
		return o.choice.Local // it was made here, not downloaded
	}
	return o.choice.Reference
}

// checkArch refuses an image whose programs this machine cannot run, unless the kernel
// can with binfmt_misc.
func checkArch(ref, arch string) error {
	if arch == "" || arch == runtime.GOARCH {
		return nil
	}
	qemu := map[string]string{
		"amd64": "x86_64", "arm64": "aarch64", "arm": "arm", "386": "i386", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
	}[arch]
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/qemu-" + qemu); qemu != "" && err == nil {
		return nil
	}
	return fail.New(fail.Unable, "image %s is for %s, and this machine is %s", ref, arch, runtime.GOARCH).
		Hint("choose an image for %s, or install qemu-user-static, which runs others", runtime.GOARCH)
}

// Fetch gets the image of a request, as Create would.
func (p *Provisioner) Fetch(ctx context.Context, r Request) error {
	o, err := p.settle(ctx, r)
	if err == nil {
		_, err = p.image(ctx, o, r)
	}
	return err
}
