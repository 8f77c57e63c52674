package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// FreezeRequest is what a user asks of a toolbox of which a Containerfile is to be made.
type FreezeRequest struct {
	Name    toolbox.Name
	Dir     string // where the files are written
	Include []string
	Exclude []string      // of what would be taken: paths, or patterns, with what is below
	Verify  bool          // build an image of it, and compare
	Quiet   time.Duration // how long a package manager may say nothing; 0: for ever

	// Agree is asked before files of Dir are replaced.
	Agree func(names []string) error
	// Said is told what goes on.
	Said func(what, line string)
}

// FreezeResult is what was made of a toolbox.
type FreezeResult struct {
	Directory string `json:"directory"`
	Verified  bool   `json:"verified"` // an image was built, and is the same
	// Differences are what an image that was built of it has otherwise.
	Differences []string `json:"differences,omitempty"`
	Bytes       int64    `json:"bytes"` // of the files
	*Frozen
}

// notFrozen is left out without a word: what is made anew in each system or by each start,
// what others look after, and caches.
var notFrozen = []string{
	"/proc/", "/sys/", "/dev/", "/run/", "/var/run/", "/tmp/", "/var/tmp/", "/var/cache/", "/var/log/", "/boot/",
	"/.tbx-carry/", "/lost+found/",
	"/etc/passwd*", "/etc/group*", "/etc/shadow*", "/etc/gshadow*", "/etc/subuid*", "/etc/subgid*", "/etc/.pwd.lock",
	"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab", "/etc/machine-id", "/etc/localtime", "/etc/timezone",
	"/etc/ld.so.cache", "/etc/ssl/certs/", "/etc/pki/ca-trust/extracted/", "/etc/init.d/.depend.*", "/etc/.updated", "/var/.updated",
	"/var/lib/systemd/", "/var/lib/python/", "/var/lib/ucf/", "/var/lib/misc/", "/var/lib/dbus/", "/var/lib/pam/", "/var/backups/",
	"/usr/local/bin/tbx", "/usr/share/mime/", "/usr/share/info/dir", "/usr/share/info/dir.old",
	"__pycache__", "icon-theme.cache", "mimeinfo.cache", "gschemas.compiled", "loaders.cache",
}

// notPrivate is taken though not everybody may read it: there is no secret in it.
var notPrivate = []string{"/etc/sudoers", "/etc/sudoers.d/", "/etc/sudoers.d"}

// frozenDir is where packages that are files are in the image while it is built, and in the
// toolbox while they are made.
const frozenDir = "/var/tmp/tbx-freeze"

// Freeze writes a lock file of what a toolbox consists of, and a Containerfile that makes an
// image of it, with what that copies. Homes, and what not everybody may read, are left out.
// The same toolbox makes the same bytes.
func (p *Provisioner) Freeze(ctx context.Context, r FreezeRequest) (*FreezeResult, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b, err := p.Toolboxes.Find(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	lock, err := flock.Try(filepath.Join(p.Toolboxes.Host.TbxRuntime(), "locks", ".freeze-"+string(r.Name)))
	if errors.Is(err, flock.ErrBusy) {
		return nil, fail.New(nil, "toolbox %s is being frozen by another tbx", r.Name).Hint("wait until that has ended")
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	now, err := p.Toolboxes.Settings(b)
	if err != nil {
		return nil, err
	}
	f := &freezing{p: p, request: &r, lock: &Frozen{Version: frozenVersion, Toolbox: string(r.Name), Packages: map[string]string{}}}
	if f.dir, err = openFrozenDir(r.Dir, r.Agree); err != nil {
		return nil, err
	}
	defer f.dir.close()
	if err := f.from(ctx, now); err != nil {
		return nil, err
	}
	if err := p.Toolboxes.Compare(ctx, r.Name, p.imageEnv(r.Name), f.look); err != nil {
		return nil, err
	}
	if err := f.write(); err != nil {
		return nil, err
	}
	result := &FreezeResult{Directory: r.Dir, Frozen: f.lock, Bytes: f.lock.bytes()}
	if r.Verify {
		result.Differences, err = f.verify(ctx)
		result.Verified = err == nil && len(result.Differences) == 0
	}
	return result, err
}

// check refuses what cannot be meant. Paths come out clean.
func (r *FreezeRequest) check() error {
	for n, p := range r.Include {
		clean := path.Clean(p)
		if !path.IsAbs(p) || clean == "/" {
			return fail.New(fail.Usage, "--include %s: it must be a path in the toolbox, from its root on", escape.Quote(p)).
				Hint("such as: --include /etc/ssl/private/ours.key")
		}
		for _, never := range notFrozen {
			fits, _ := path.Match(strings.TrimSuffix(never, "/"), clean)
			if below := strings.HasSuffix(never, "/") && strings.HasPrefix(clean+"/", never); fits || below {
				return fail.New(fail.Usage, "--include %s: that is made anew in each toolbox, and is never taken", escape.Quote(p))
			}
		}
		r.Include[n] = clean
	}
	for n, p := range r.Exclude {
		if _, err := path.Match(p, ""); err != nil || !path.IsAbs(p) || path.Clean(p) == "/" {
			return fail.New(fail.Usage, "--exclude %s: it must be a path in the toolbox, from its root on, or a pattern of such", escape.Quote(p)).
				Hint("such as: --exclude '/opt/*/cache'")
		}
		r.Exclude[n] = path.Clean(p)
	}
	return nil
}

// freezing is one under way.
type freezing struct {
	p       *Provisioner
	request *FreezeRequest
	lock    *Frozen
	dir     *frozenDirectory
	image   images.Image

	w        *toolbox.Rebasing
	old      *packages.System // nil: without a package manager
	has, was *packages.Inventory
	wanted   *packages.Wanted
	shell    bool     // the image has one
	settings []string // paths that are there before packages are installed
	removed  []string // that are not there any more by then
	files    []string // and after
	accounts []string // commands
	modes    []string // commands
	passwd   bool     // there is a table of users
}

func (f *freezing) say(what string) {
	if f.request.Said != nil {
		f.request.Said(what, "")
	}
}

func (f *freezing) leave(path, why string) {
	f.lock.LeftOut = append(f.lock.LeftOut, FrozenLeft{path, why})
}

// from finds out what the toolbox was made from.
func (f *freezing) from(ctx context.Context, now *toolbox.Spec) error {
	store, err := f.p.Store(ctx)
	if err != nil {
		return err
	}
	f.image, err = store.Inspect(ctx, now.ImageID)
	if errors.Is(err, fail.NotFound) {
		return fail.New(fail.NotFound, "the image that toolbox %s was made from is gone (id %.12s), so it cannot be told what was changed of it",
			f.request.Name, now.ImageID).Hint("the toolbox itself can be kept in a file: tbx save %s FILE", f.request.Name)
	}
	if err != nil {
		return err
	}
	f.lock.Image = FrozenImage{Reference: now.Image, ID: f.image.ID, Arch: f.image.Arch}
	named, err := images.ParseRef(now.Image)
	for _, d := range sorted(f.image.Digests) {
		ref, derr := images.ParseRef(d)
		if derr != nil || ref.Local() {
			continue
		}
		if f.lock.Image.Digest == "" || err == nil && ref.Name() == named.Name() {
			f.lock.Image.Digest = d
		}
	}
	if f.lock.Image.Digest == "" {
		if there, err := store.Inspect(ctx, now.Image); err != nil || there.ID != f.image.ID {
			f.lock.Image.Reference = f.image.ID // its name is another one's by now
		}
		f.p.Warn("image "+escape.Text(now.Image)+" is in no registry that is known: elsewhere the Containerfile cannot be built",
			"bring the image along: podman save, or make the toolbox from one of a registry")
	}
	return nil
}

// look finds out what there is, while the toolbox and its image run.
func (f *freezing) look(ctx context.Context, w *toolbox.Rebasing) error {
	f.w = w
	f.say("looking at what is in toolbox " + string(f.request.Name))
	var err error
	if f.shell, err = hasShell(ctx, w.Base); err != nil {
		return err
	}
	if err := f.openSystem(ctx); err != nil {
		return err
	}
	if err := f.lookAtSettings(ctx); err != nil {
		return err
	}
	if err := f.lookAtFiles(ctx); err != nil {
		return err
	}
	if err := f.repack(ctx); err != nil {
		return err
	}
	for _, t := range []struct {
		name  string
		paths []string
	}{{settingsTar, f.settings}, {filesTar, f.files}} {
		if len(t.paths) == 0 {
			continue
		}
		if err := f.dir.fill(t.name, func(out io.Writer) error { return w.PackPaths(ctx, t.paths, out) }); err != nil {
			return err
		}
	}
	return nil
}

func hasShell(ctx context.Context, room toolbox.Room) (bool, error) {
	code, err := room.Run(ctx, []string{"sh", "-c", "exit 7"}, nil, io.Discard, io.Discard)
	return code == 7, err
}

// openSystem asks the package managers of the toolbox and of its image.
func (f *freezing) openSystem(ctx context.Context) error {
	base, err := packages.Open(ctx, runnerOf(f.w.Base))
	if errors.Is(err, fail.Unable) {
		base, err = nil, nil
	}
	if err != nil {
		return err
	}
	f.old, err = packages.Open(ctx, runnerOf(f.w.Old))
	if errors.Is(err, fail.Unable) {
		f.old = nil
		return nil
	}
	if err != nil {
		return err
	}
	if base == nil || base.Name != f.old.Name {
		return fail.New(fail.Unable, "its package manager is %s, which its image has not: how it came there cannot be told", f.old.Name)
	}
	for _, s := range []*packages.System{f.old, base} {
		s.Silence = f.request.Quiet
	}
	if f.has, err = f.old.Inventory(ctx); err != nil {
		return err
	}
	if f.was, err = base.Inventory(ctx); err != nil {
		return err
	}
	f.wanted = packages.Want(f.has, f.was)
	return nil
}

// upgraded says whether a package of the image is of another version now.
func (f *freezing) upgraded() bool {
	if f.wanted == nil {
		return false
	}
	had := f.was.Versions()
	for n := range f.wanted.Install {
		if had[n] != "" {
			return true
		}
	}
	return false
}

// find looks for what was put into the toolbox, and leaves out what the user says.
func (f *freezing) find(ctx context.Context, o *carry.Order) ([]carry.Found, error) {
	o.Dry = true
	for _, p := range f.request.Exclude {
		o.Skip = append(o.Skip, p+"/")
	}
	if f.old != nil {
		o.Defaults, o.Owned, o.Find.WasOwned, o.Find.Upgraded = f.has.Defaults, f.has.Owned, f.was.Owned, f.upgraded()
	}
	o.Find.Private = slices.Clone(notPrivate)
	for _, p := range f.request.Include {
		o.Find.Private = append(o.Find.Private, p, p+"/")
	}
	a, err := f.w.Carry(ctx, o)
	if err != nil {
		return nil, err
	}
	return a.Found, nil
}

// take sorts what was found.
func (f *freezing) take(found []carry.Found, to *[]string) {
	for i := range found {
		e := &found[i]
		switch {
		case e.Note != "":
			f.leave(e.Path, e.Note)
		case e.Type == carry.TypeRemoved && !f.shell:
			f.leave(e.Path, "it is removed, and the image has no shell that could do that")
		case e.Type == carry.TypeRemoved && !writable(e.Path):
			f.leave(e.Path, "it is removed, and its name cannot be written in a Containerfile")
		case e.Type == carry.TypeRemoved:
			f.lock.Removed = append(f.lock.Removed, e.Path)
		default:
			f.lock.Files = append(f.lock.Files, frozenFile(e))
			*to = append(*to, e.Path)
			if e.Image {
				f.remode(e)
			}
		}
	}
}

// remode gives a directory of the image its mode and owner: an archive does so to new ones only.
func (f *freezing) remode(e *carry.Found) {
	if !f.shell || !writable(e.Path) {
		return // and the comparison says so
	}
	p := packages.Quote(e.Path)
	f.modes = append(f.modes, fmt.Sprintf("chown %d:%d %s", e.UID, e.GID, p), fmt.Sprintf("chmod %04o %s", e.Mode, p))
}

func sorted(words []string) []string {
	out := slices.Clone(words)
	slices.Sort(out)
	return slices.Compact(out)
}

// repack makes files of packages that are in no repository, or not in this version.
func (f *freezing) repack(ctx context.Context) (err error) {
	if f.old == nil {
		return nil
	}
	defer func() { f.lock.system(f.old, f.has, f.wanted) }()
	names, err := f.old.Unfetchable(ctx, f.has, f.wanted)
	if err != nil || len(names) == 0 {
		return err
	}
	if f.old.Carry.Repack == "" || !f.old.Carry.Exact.Both && len(f.old.Carry.Exact.Files) == 0 {
		for _, n := range names {
			f.leave("package "+n, "it is of no repository, and "+f.old.Name+" makes no file of it")
			delete(f.wanted.Install, n)
		}
		return nil
	}
	defer func() {
		_, rmErr := f.old.Run(context.WithoutCancel(ctx), "rm", "-rf", frozenDir)
		err = errors.Join(err, rmErr)
	}()
	if _, err := f.old.Run(ctx, "mkdir", "-p", frozenDir); err != nil {
		return err
	}
	var made []string
	for _, n := range names {
		f.say(fmt.Sprintf("making a file of package %s, which is of no repository", n))
		file, err := f.old.Repack(ctx, n, frozenDir)
		if err != nil {
			return err
		}
		made = append(made, file)
		f.wanted.Files = append(f.wanted.Files, file)
		f.wanted.FileNames = append(f.wanted.FileNames, n)
	}
	return f.dir.fill(packagesTar, func(out io.Writer) error { return f.w.PackPaths(ctx, made, out) })
}
