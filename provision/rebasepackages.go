package provision

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// madeDir is the directory inside for packages that are made from installed files.
const madeDir = "/var/tmp/tbx-rebase"

// preparePackages finds the packages that the user installed, and which of them the new
// release has.
func (b *rebase) preparePackages(ctx context.Context) error {
	if err := b.inventories(ctx); err != nil {
		return err
	}
	asked := b.asked()
	if b.w.Spec().NoNetwork && len(asked) > 0 {
		return fail.New(fail.Unable, "it has no network to fetch its packages").
			Hint("give it one for the rebase: tbx edit --network %s", b.request.Name)
	}
	if err := b.architectures(ctx); err != nil {
		return err
	}
	b.say("fetching the lists of packages of " + textOr(b.report.ToRelease, b.report.To))
	if err := b.repositories(ctx); err != nil {
		return err
	}
	local := slices.DeleteFunc(slices.Clone(asked), func(n string) bool { return !slices.Contains(b.oldHas.Local, n) })
	fromRepo := slices.DeleteFunc(asked, func(n string) bool { return slices.Contains(local, n) })
	have, err := b.new.Available(ctx, fromRepo)
	if err != nil {
		return err
	}
	for _, n := range fromRepo {
		switch {
		case have[n]:
			b.report.Packages.Found = append(b.report.Packages.Found, n)
		case b.oldHas.Unknown && b.old.Carry.Repack != "":
			local = append(local, n) // perhaps it never came from one
		default:
			b.report.Packages.Missing = append(b.report.Packages.Missing, n)
		}
	}
	b.report.Packages.Local = append(b.report.Packages.Local, local...)
	for _, n := range b.oldHas.Held {
		if !slices.Contains(b.baseHas.Held, n) {
			b.report.Packages.Held = append(b.report.Packages.Held, n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(b.baseHas.Installed)) {
		if b.oldHas.Installed[n] == "" && b.has.Installed[n] != "" && !strings.Contains(n, ":") {
			b.item("package", n, carry.Stays, "of the image")
		}
	}
	return nil
}

// inventories asks the three containers, side by side.
func (b *rebase) inventories(ctx context.Context) error {
	type answer struct {
		has *packages.Inventory
		err error
	}
	systems := []*packages.System{b.old, b.base, b.new}
	answers := make([]chan answer, len(systems))
	for i, s := range systems {
		answers[i] = make(chan answer, 1)
		go func() {
			has, err := s.Inventory(ctx)
			answers[i] <- answer{has, err}
		}()
	}
	var errs []error
	for i, to := range []**packages.Inventory{&b.oldHas, &b.baseHas, &b.has} {
		a := <-answers[i]
		*to = a.has
		errs = append(errs, a.err)
	}
	return errors.Join(errs...)
}

// asked returns the packages that the user installed, without the image's own.
func (b *rebase) asked() []string {
	var names []string
	for _, n := range b.oldHas.Asked {
		if !slices.Contains(b.baseHas.Asked, n) && b.has.Installed[n] == "" {
			names = append(names, n)
		}
	}
	return names
}

func (b *rebase) architectures(ctx context.Context) error {
	more := slices.DeleteFunc(slices.Clone(b.oldHas.Architectures), func(a string) bool { return slices.Contains(b.has.Architectures, a) })
	if len(more) > 0 {
		b.item("setting", "architectures "+strings.Join(more, " "), carry.Taken, "")
	}
	return b.new.UseArchitectures(ctx, more)
}

// repository is one of the user's files that list repositories.
type repository struct {
	path, text string
	changed    bool // for the new release
}

// repositories brings along the user's repositories, adapted to the new release, and
// fetches the indexes. A repository that does not answer for the new release is switched
// off.
func (b *rebase) repositories(ctx context.Context) error {
	c := b.old.Carry
	a, err := b.w.Carry(ctx, &carry.Order{Rule: c.Settings, Skip: c.Own, Defaults: b.oldHas.Defaults, Read: c.Repositories})
	if err != nil {
		return err
	}
	b.found(a, false)
	mine, theirs := b.userRepositories(a.Texts)
	if len(mine) == 0 {
		return b.new.Ready(ctx)
	}
	if len(c.Try) > 0 {
		return b.eachRepository(ctx, mine, theirs)
	}
	texts := slices.Clone(theirs)
	for _, r := range mine {
		texts = append(texts, carry.Text{Path: r.path, Text: r.text})
	}
	if err := b.write(ctx, texts); err != nil {
		return err
	}
	if err = b.new.Ready(ctx); errors.Is(err, packages.ErrFetch) {
		return b.eachRepository(ctx, mine, theirs)
	}
	for _, r := range mine {
		b.tellRepository(r)
	}
	return err
}

// userRepositories returns the files that the user added or changed, adapted to the new
// release, and the image's own files that the user removed, which become empty.
func (b *rebase) userRepositories(texts []carry.Text) (mine []repository, theirs []carry.Text) {
	there := map[string]bool{}
	for _, t := range texts {
		if t.Base || t.Same {
			continue
		}
		there[t.Path] = true
		r := repository{t.Path, t.Text, false}
		if b.old.Carry.Rewrite != nil {
			r.text = b.old.Carry.Rewrite(t.Text, b.names)
			r.changed = r.text != t.Text
		}
		if strings.TrimSpace(r.text) != "" {
			mine = append(mine, r)
		}
	}
	for _, t := range texts {
		removed := t.Base && !there[t.Path] && !slices.ContainsFunc(texts, func(o carry.Text) bool { return !o.Base && o.Path == t.Path })
		if removed && len(mine) > 0 {
			theirs = append(theirs, carry.Text{Path: t.Path})
		}
	}
	return mine, theirs
}

func (b *rebase) write(ctx context.Context, texts []carry.Text) error {
	_, err := b.w.Carry(ctx, &carry.Order{Texts: texts})
	return err
}

func (b *rebase) tellRepository(r repository) {
	what := repoKept
	if r.changed {
		what = repoChanged
	}
	b.item("repository", r.path, what, "")
}

// eachRepository tries the user's repositories one after the other, and switches off
// those that do not answer.
func (b *rebase) eachRepository(ctx context.Context, mine []repository, theirs []carry.Text) error {
	texts := slices.Clone(theirs)
	for _, r := range mine {
		texts = append(texts, carry.Text{Path: r.path})
	}
	if err := b.write(ctx, texts); err != nil {
		return err
	}
	for _, r := range mine {
		if err := b.oneRepository(ctx, r); err != nil {
			return err
		}
	}
	return b.new.Ready(ctx)
}

func (b *rebase) oneRepository(ctx context.Context, r repository) error {
	if err := b.write(ctx, []carry.Text{{Path: r.path, Text: r.text}}); err != nil {
		return err
	}
	err := b.new.Answers(ctx, r.path)
	if err == nil {
		b.tellRepository(r)
	}
	if !errors.Is(err, packages.ErrFetch) {
		return err
	}
	b.item("repository", r.path, repoOff, "it does not answer for the new release; it is beside, as "+path.Base(r.path)+".tbx-off")
	return b.write(ctx, []carry.Text{{Path: r.path}, {Path: r.path + ".tbx-off", Text: r.text}})
}

// installPackages installs the packages that the user installed before.
func (b *rebase) installPackages(ctx context.Context) error {
	found := b.report.Packages.Found
	if len(found) > 0 {
		b.say("installing " + plural(len(found), "package"))
	}
	failed, err := b.new.AddAll(ctx, found)
	if err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(failed)) {
		b.item("package", n, carry.Lost, firstLine(failed[n]))
	}
	b.report.Packages.Found = slices.DeleteFunc(found, func(n string) bool { return failed[n] != nil })
	if err := b.installLocal(ctx); err != nil {
		return err
	}
	if err := b.hold(ctx); err != nil {
		return err
	}
	for _, a := range b.oldHas.Alternatives {
		if slices.Contains(b.baseHas.Alternatives, a) {
			continue
		}
		if err := b.new.UseAlternative(ctx, a); err != nil {
			b.item("setting", "alternative "+a[0]+" "+a[1], carry.Lost, "the new release does not have it")
			continue
		}
		b.item("setting", "alternative "+a[0]+" "+a[1], carry.Taken, "")
	}
	return nil
}

// installLocal makes package files of packages that are in no repository, and installs
// them.
func (b *rebase) installLocal(ctx context.Context) error {
	names := b.report.Packages.Local
	if len(names) == 0 {
		return nil
	}
	b.say("taking along " + plural(len(names), "package") + " of no repository")
	lost := func(n string, err error) {
		b.item("package", n, carry.Lost, firstLine(err))
		b.report.Packages.Local = slices.DeleteFunc(slices.Clone(b.report.Packages.Local), func(o string) bool { return o == n })
	}
	made := map[string]string{}
	var files []string
	if _, err := b.old.Run(ctx, "mkdir", "-p", madeDir); err != nil {
		return err
	}
	for _, n := range names {
		file, err := b.old.Repack(ctx, n, madeDir)
		if err != nil {
			lost(n, err)
			continue
		}
		made[file] = n
		files = append(files, file)
	}
	_, err := b.w.Carry(ctx, &carry.Order{Whole: []string{madeDir}})
	if err != nil {
		return err
	}
	failed, err := b.new.AddFiles(ctx, files)
	if err != nil {
		return err
	}
	for _, f := range slices.Sorted(maps.Keys(failed)) {
		lost(made[f], failed[f])
	}
	for _, s := range []*packages.System{b.old, b.new} {
		if _, err := s.Run(ctx, "rm", "-rf", madeDir); err != nil {
			return err
		}
	}
	return b.new.Whole(ctx) // those from repositories are known to be whole
}

// hold holds the packages that were held, at the new release's version.
func (b *rebase) hold(ctx context.Context) error {
	if len(b.report.Packages.Held) == 0 {
		return nil
	}
	has, err := b.new.Inventory(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, n := range b.report.Packages.Held {
		if has.Installed[n] == "" {
			b.item("package", n, carry.Lost, "it was held, but is not installed")
			continue
		}
		names = append(names, n)
		b.item("package", n, carry.Taken, "held at "+has.Installed[n]+", before at "+b.oldHas.Installed[n])
	}
	if len(b.old.Carry.Hold) == 0 && len(names) > 0 {
		b.item("setting", "held packages", carry.Lost, "hold them again by the settings of "+b.old.Name)
		return nil
	}
	return b.new.Hold(ctx, names)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
