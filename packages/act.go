package packages

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// CheckNames refuses what is no package's name.
func CheckNames(names []string) error {
	for _, n := range names {
		switch {
		case !nameRule().MatchString(n):
			return fail.New(fail.Usage, "%q is no name of a package", n).
				Hint("names have letters, digits and any of + - . _ : / = @ ~, and begin with a letter or a digit")
		case strings.HasSuffix(n, "-"):
			return fail.New(fail.Usage, "%q is no name of a package: apt would remove %s", n, strings.TrimSuffix(n, "-")).
				Hint("to remove it: tbx remove %s", strings.TrimSuffix(n, "-"))
		}
	}
	return nil
}

// Refreshed fetches the indexes of the repositories.
func (s *System) Refreshed(ctx context.Context) error {
	if len(s.Refresh) == 0 {
		return nil
	}
	const what = "fetch the lists of packages"
	r, err := s.do(ctx, what, s.Refresh)
	if err == nil && errors.Is(s.kindOf(r.all), ErrFetch) { // dnf5 goes on without a repository, and what it lacks would count as up to date
		err = s.failure(what, r.code, r.all)
	}
	return err
}

// Outdated lists what can be upgraded, by the indexes that are there.
func (s *System) Outdated(ctx context.Context) ([]Update, error) {
	r, err := s.do(ctx, "list what can be upgraded", s.List)
	if err != nil {
		return nil, err
	}
	out := s.ReadList(r.out)
	if s.SecurityNames != nil && len(out) > 0 {
		about, err := s.SecurityNames(ctx, s)
		if err != nil {
			return nil, err
		}
		for i := range out {
			out[i].Security = about[out[i].Name]
		}
	}
	slices.SortFunc(out, func(a, b Update) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Upgraded is what an upgrade has done.
type Upgraded struct {
	Updates []Update // what there was to upgrade
	Kept    []string // configuration files that were changed here and in the package, and were left
}

// UpgradeAll upgrades the system, or of it what is about security. What an earlier one left
// in the middle is finished first. Nothing is asked: the user's configuration files
// stay. Afterwards the package manager is whole, or the error wraps ErrBroken.
func (s *System) UpgradeAll(ctx context.Context, security bool) (*Upgraded, error) {
	if security && s.Security == nil {
		return nil, fail.New(fail.Unable, "%s cannot tell upgrades that are about security: %s", s.Name, s.NoSecurity).
			Hint("leave out --security to upgrade everything")
	}
	state, err := s.healed(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Refreshed(ctx); err != nil {
		return nil, err
	}
	before, err := s.Outdated(ctx)
	if err != nil {
		return nil, err
	}
	u := &Upgraded{Updates: before}
	if security {
		u.Updates = slices.DeleteFunc(before, func(p Update) bool { return !p.Security })
	}
	if len(u.Updates) == 0 {
		return u, s.andWhole(ctx, state, nil)
	}
	if s.Before != nil {
		if err := s.Before(ctx); err != nil {
			return &Upgraded{}, err
		}
	}
	if security {
		err = s.Security(ctx, s)
	} else {
		var r result
		r, err = s.do(ctx, "upgrade", s.Upgrade)
		if s.Kept != nil {
			u.Kept = s.Kept(r.all)
		}
	}
	return u, s.andWhole(ctx, state, err)
}

// andWhole adds to what came of a change whether the package manager is less whole than
// before. It looks even where the user ended the change.
func (s *System) andWhole(ctx context.Context, before, err error) error {
	after := s.Whole(context.WithoutCancel(ctx))
	if after == nil || before != nil && before.Error() == after.Error() {
		return err
	}
	return errors.Join(err, after)
}

// healed finishes what an earlier run left in the middle, if there is such. state is what
// is still not whole: an image may have come so, which is no reason to do nothing.
func (s *System) healed(ctx context.Context) (state, err error) {
	if state = s.Whole(ctx); state == nil || !errors.Is(state, ErrBroken) {
		return nil, state
	}
	for _, args := range s.Repair {
		if _, err := s.do(ctx, "finish what was left in the middle", args); err != nil {
			return state, err
		}
	}
	return s.Whole(ctx), nil
}

// Whole returns an error that wraps ErrBroken if the package manager's database has
// something half done.
func (s *System) Whole(ctx context.Context) error {
	for _, c := range s.Checks {
		r, err := s.call(ctx, c.Args)
		if err != nil {
			return err
		}
		if r.code != 0 && errors.Is(s.kindOf(r.all), ErrLocked) {
			continue // who holds the lock is at work: nothing can be said
		}
		if r.code != 0 && !s.Fine[r.code] || c.Quiet && strings.TrimSpace(r.out) != "" {
			return fail.Wrap(ErrBroken, errors.New(firstWords(r.all)), "%s is not whole (%s)", s.Name, strings.Join(c.Args, " ")).
				Hint("tbx upgrade tries to finish what was left in the middle")
		}
	}
	return nil
}

func firstWords(out string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if line == "" {
		return "it does not say why"
	}
	return line
}

// Add installs packages, and what they need. It removes nothing. Without indexes, as in a
// fresh image, or with old ones, it fetches them and tries again.
func (s *System) Add(ctx context.Context, names []string) error {
	return s.change(ctx, "install", s.Install, names)
}

// Drop removes packages, and what cannot be without them.
func (s *System) Drop(ctx context.Context, names []string) error {
	return s.change(ctx, "remove", s.Remove, names)
}

func (s *System) change(ctx context.Context, verb string, args, names []string) error {
	if err := CheckNames(names); err != nil {
		return err
	}
	state, err := s.healed(ctx)
	if err != nil {
		return err
	}
	what := verb + " " + strings.Join(names, ", ")
	args = append(slices.Clone(args), names...)
	_, err = s.do(ctx, what, args)
	if verb == "install" && len(s.Refresh) > 0 && (errors.Is(err, fail.NotFound) || errors.Is(err, ErrFetch)) {
		if err = s.Refreshed(ctx); err == nil {
			_, err = s.do(ctx, what, args)
		}
	}
	return s.andWhole(ctx, state, err)
}

// WouldDrop is what the package manager says that Drop would do, in its own words.
func (s *System) WouldDrop(ctx context.Context, names []string) (string, error) {
	if err := CheckNames(names); err != nil {
		return "", err
	}
	r, err := s.call(ctx, append(slices.Clone(s.Preview), names...))
	if err == nil && r.code != 0 && (r.code != s.Aborts || s.kindOf(r.all) != nil) {
		err = s.failure("say what removing "+strings.Join(names, ", ")+" would do", r.code, r.all)
	}
	return r.out, err
}

// Find searches for packages by words, with the indexes that are there, or fresh ones
// where there are none.
func (s *System) Find(ctx context.Context, words []string) ([]Package, error) {
	for _, w := range words {
		if w == "" || strings.HasPrefix(w, "-") || strings.ContainsAny(w, "\n\x00") {
			return nil, fail.New(fail.Usage, "%q cannot be searched for", w)
		}
	}
	args := append(slices.Clone(s.Search), words...)
	r, err := s.call(ctx, args)
	if err != nil {
		return nil, err
	}
	found := s.ReadSearch(r.out, words)
	if len(found) > 0 || len(s.Refresh) == 0 {
		return found, nil
	}
	if err := s.Refreshed(ctx); err != nil {
		return nil, err
	}
	if r, err = s.call(ctx, args); err != nil {
		return nil, err
	}
	return s.ReadSearch(r.out, words), nil
}

// AskedFor lists the packages that somebody asked for, not those that came with them.
func (s *System) AskedFor(ctx context.Context) ([]string, error) {
	r, err := s.do(ctx, "list what was asked for", s.Manual)
	if err != nil {
		return nil, err
	}
	return s.ReadManual(r.out), nil
}

// fields are the first words of lines that have one.
func fields(out string) []string {
	var names []string
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			names = append(names, f[0])
		}
	}
	return names
}

// Beginning lists packages whose names begin with word, by the indexes that are there;
// none where the package manager cannot say so quickly.
func (s *System) Beginning(ctx context.Context, word string) []string {
	if len(s.Names) == 0 || CheckNames([]string{word}) != nil {
		return nil
	}
	r, err := s.call(ctx, append(slices.Clone(s.Names), word))
	if err != nil || r.code != 0 {
		return nil
	}
	return fields(r.out)
}
