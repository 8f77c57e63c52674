package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// RebaseRequest is a user's request to move a toolbox to another release.
type RebaseRequest struct {
	Name  toolbox.Name
	Image images.Request // a release alone means the toolbox's own distribution
	Fetch
	Also  []string      // directories to bring along besides /opt, /srv and /usr/local
	Force bool          // end its processes
	Dry   bool          // only report, as far as possible before packages are installed
	Quiet time.Duration // the longest silence of a package manager; 0: no limit

	// Agree gets the report before the rebase begins; nil: nobody is asked.
	Agree func(*RebaseReport) error
	// Said gets the progress.
	Said func(what, line string)
}

// wholeDirs are directories that packages leave to the user, hier(7) and the FHS.
var wholeDirs = []string{"/opt", "/srv", "/usr/local"}

// ruleDirs are the directories of settings.
var ruleDirs = []string{"/etc", "/root", "/var/spool/cron"}

// notCarried lists paths below them that each system makes itself, or that are brought
// along in another way.
var notCarried = []string{
	"/etc/passwd*", "/etc/group*", "/etc/shadow*", "/etc/gshadow*", "/etc/subuid*", "/etc/subgid*", "/etc/.pwd.lock",
	"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab", "/etc/machine-id", "/etc/localtime", "/etc/timezone",
	"/etc/*-release", "/etc/*_version", "/etc/issue", "/etc/issue.net", "/etc/ld.so.cache", "/etc/ssl/certs/", "/etc/ca-certificates.conf",
	"/etc/pki/ca-trust/extracted/", "/etc/init.d/.depend.*", "/etc/.updated", "/var/.updated", "/root/.cache/", "/root/.bash_history",
	"__pycache__", "/var/lib/systemd/", "/var/lib/python/", "/var/lib/ucf/", "/var/lib/misc/", "/var/lib/dbus/",
	"/usr/local/bin/tbx", "/usr/local/share/man/", "/etc/locale.gen", "/etc/adjtime",
}

// Rebase replaces a toolbox by one of another image, and brings along the user's
// additions: packages, repositories, settings, users, and the contents of /opt and
// /usr/local. The old toolbox stays as a snapshot. The report lists what came along and
// what could not. After an error it lists the part that was done, and the toolbox is as
// it was.
func (p *Provisioner) Rebase(ctx context.Context, r RebaseRequest) (*RebaseReport, error) {
	if err := r.Fetch.Check(); err != nil {
		return nil, err
	}
	b, err := p.Toolboxes.Find(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	now, err := p.Toolboxes.Settings(b)
	if err != nil {
		return nil, err
	}
	choice, err := p.rebaseChoice(ctx, r, now)
	if err != nil {
		return nil, err
	}
	img, err := p.image(ctx, &order{choice: choice}, Request{Fetch: r.Fetch})
	if err != nil {
		return nil, err
	}
	if img.ID == now.ImageID {
		return nil, fail.New(fail.Usage, "toolbox %s is made from that image already: %s", r.Name, escape.Text(img.Reference)).
			Hint("to upgrade its packages: tbx upgrade %s", r.Name)
	}
	rb := &rebase{p: p, request: &r, report: &RebaseReport{
		Name: string(r.Name), From: now.Image, To: img.Reference,
		Packages: Carried{Found: []string{}, Missing: []string{}, Local: []string{}, Held: []string{}}, Items: []RebaseItem{},
	}}
	s, err := p.Toolboxes.Rebase(ctx, toolbox.RebaseRequest{
		Name: r.Name, Image: img, ImageEnv: p.imageEnv(r.Name), Force: r.Force, Dry: r.Dry,
	}, rb.build)
	if s == nil {
		return rb.report, err
	}
	rb.report.Snapshot = s.Name
	if serr := p.saveReport(rb.report, s.Created); serr != nil {
		p.Warn("the report of the rebase cannot be kept: "+serr.Error(), "")
	}
	return rb.report, err
}

// saveReport writes a report to a place where the user finds it.
func (p *Provisioner) saveReport(r *RebaseReport, at time.Time) error {
	r.File = filepath.Join(p.StateDir, "rebase", r.Name+"-"+at.Local().Format("2006-01-02-150405")+".txt")
	var b bytes.Buffer
	err := r.Write(&b, true)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(r.File), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(r.File, b.Bytes(), 0o600)
	}
	return err
}

// rebaseChoice returns the requested image.
func (p *Provisioner) rebaseChoice(ctx context.Context, r RebaseRequest, now *toolbox.Spec) (images.Choice, error) {
	q := r.Image
	if q == (images.Request{}) {
		return images.Choice{}, fail.New(fail.Usage, "toolbox %s needs a release or an image to move to", r.Name).
			Hint("name a release of its distribution: tbx rebase --release RELEASE %s", r.Name).
			Hint("or any image: tbx rebase --image IMAGE %s", r.Name)
	}
	if q.Image == "" && q.Distro == "" {
		cat, host, err := p.Catalogue()
		if err != nil {
			return images.Choice{}, err
		}
		q.Distro = distroOf(cat, host, now.Image)
		if q.Distro == "" {
			const unknown = "toolbox %s is made from %s, whose distribution the catalogue does not know"
			return images.Choice{}, fail.New(fail.Usage, unknown, r.Name, escape.Text(now.Image)).
				Hint("name it: tbx rebase --distro DISTRIBUTION --release RELEASE %s", r.Name)
		}
	}
	return p.Choose(ctx, q)
}

// distroOf returns the catalogue's distribution of an image, or "".
func distroOf(cat *images.Catalogue, host images.HostOS, image string) string {
	if made, ok := strings.CutPrefix(image, images.BootstrapPrefix); ok {
		name, _, _ := strings.Cut(made, ":")
		return name
	}
	c, err := cat.Resolve(images.Request{Image: image}, host)
	if err != nil {
		return ""
	}
	return c.Distro
}

// rebase is a running rebase.
type rebase struct {
	p       *Provisioner
	request *RebaseRequest
	report  *RebaseReport
	w       *toolbox.Rebasing

	old, base, new       *packages.System // nil: without a package manager
	oldHas, baseHas, has *packages.Inventory
	names                *packages.Renaming
}

// build fills the new toolbox.
func (b *rebase) build(ctx context.Context, w *toolbox.Rebasing) error {
	b.w = w
	if err := b.openSystems(ctx); err != nil {
		return err
	}
	if b.old != nil {
		if err := b.preparePackages(ctx); err != nil {
			return err
		}
	}
	if b.request.Dry || b.request.Agree != nil {
		if err := b.carry(ctx, true); err != nil {
			return err
		}
		if b.request.Dry {
			return nil
		}
		if err := b.request.Agree(b.report); err != nil {
			return err
		}
		b.report.Items = slices.DeleteFunc(b.report.Items, func(i RebaseItem) bool { return i.planned })
	}
	if b.old != nil {
		if err := b.installPackages(ctx); err != nil {
			return err
		}
	}
	return b.carry(ctx, false)
}

// say reports the present step.
func (b *rebase) say(what string) {
	if b.request.Said != nil {
		b.request.Said(what, "")
	}
}

func (b *rebase) item(kind, name, what, note string) {
	b.report.Items = append(b.report.Items, RebaseItem{Kind: kind, Name: name, What: what, Note: note})
}

func runnerOf(room toolbox.Room) packages.Runner {
	return func(ctx context.Context, c packages.Command, out, errs io.Writer) (int, error) {
		return room.Run(ctx, c.Args, c.Env, out, errs)
	}
}

// openSystems finds the package managers of the three containers.
func (b *rebase) openSystems(ctx context.Context) error {
	b.say("looking at what is in toolbox " + string(b.request.Name))
	for _, s := range []struct {
		room toolbox.Room
		to   **packages.System
	}{{b.w.Old, &b.old}, {b.w.Base, &b.base}, {b.w.New, &b.new}} {
		sys, err := packages.Open(ctx, runnerOf(s.room))
		if errors.Is(err, fail.Unable) {
			continue
		}
		if err != nil {
			return err
		}
		sys.Silence = b.request.Quiet
		*s.to = sys
	}
	nameOf := func(s *packages.System) string {
		if s == nil {
			return "none that tbx knows"
		}
		return s.Name
	}
	if was, is := nameOf(b.old), nameOf(b.new); was != is {
		const other = "the packages in it cannot come along: its package manager is %s, and that of image %s is %s"
		return fail.New(fail.Unable, other, was, escape.Text(b.report.To), is).
			Hint("choose an image of the same distribution, or make another toolbox: tbx create --image %s", escape.Text(b.report.To))
	}
	if b.old == nil {
		return nil
	}
	if b.base == nil {
		return fail.New(fail.Unable, "its image has no package manager, and the toolbox has %s: "+
			"the packages that you installed cannot be identified",
			b.old.Name)
	}
	b.names = packages.RenamingOf(b.old.OS, b.new.OS)
	b.report.Manager, b.report.FromRelease, b.report.ToRelease = b.old.Name, b.old.OS["PRETTY_NAME"], b.new.OS["PRETTY_NAME"]
	if b.request.Said != nil {
		b.new.Said = func(line string) { b.request.Said("", line) }
	}
	return nil
}

// carry brings files, users and groups along, or reports what would come along.
func (b *rebase) carry(ctx context.Context, dry bool) error {
	if !dry {
		b.say("bringing along what is in toolbox " + string(b.request.Name))
	}
	o := &carry.Order{
		Dry: dry, Rule: ruleDirs, Whole: slices.Concat(wholeDirs, b.request.Also), Skip: slices.Clone(notCarried), Users: true, Look: true,
	}
	if b.old != nil {
		o.Skip = slices.Concat(o.Skip, b.old.Carry.Own, b.old.Carry.Repositories)
		o.Defaults, o.Owned = b.oldHas.Defaults, b.oldHas.Owned
	}
	a, err := b.w.Carry(ctx, o)
	if err != nil {
		return err
	}
	b.found(a, dry)
	return nil
}

// found adds the results for files, users and groups to the report.
func (b *rebase) found(a *carry.Answer, dry bool) {
	for _, i := range a.Items {
		b.report.Items = append(b.report.Items, RebaseItem{Kind: i.Kind, Name: i.Name, What: i.What, Note: i.Note, planned: dry})
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
