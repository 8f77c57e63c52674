package packages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Carry is what must be known of a package manager to bring what its user asked for to
// another system that has the same one: of a newer release, for one.
type Carry struct {
	// Inventory is a shell script that lists what there is, in sections that begin with a
	// line @@NAME: asked, installed (NAME VERSION), held, local (packages of no repository),
	// architectures, alternatives (NAME PATH), owned (paths), and what Read wants.
	Inventory string
	// Read adds to an inventory what the sections have in a form of the manager's own.
	Read func(section map[string]string, i *Inventory)

	Available []string // before names: lists those that a repository has
	ReadNames func(out string) []string
	Try       []string // before a file that names repositories: fetches their indexes alone, once; empty: all are fetched to see
	Hold      []string // before names: keeps them from being upgraded; empty: it is a setting
	AddFiles  []string // before paths: installs packages that are files; empty: it cannot
	Repack    string   // a shell script that makes a file of the installed package $1 in the directory $2, and names it

	Repositories []string                              // patterns of files that name repositories, or releases
	Settings     []string                              // files and directories that it needs before it can fetch: keys and pins
	Own          []string                              // patterns of what it keeps itself: below /etc, and its database
	Rewrite      func(text string, r *Renaming) string // the text of such a file, for the new release; nil: as it is

	Exact *Exact // how it comes to exact versions
}

// Inventory is what a package manager has to say of what is installed.
type Inventory struct {
	Asked         []string
	Installed     map[string]string // name to version
	Held          []string
	Local         []string // of those asked for, what is in no repository
	Unknown       bool     // whether they are cannot be told: there are no indexes
	Architectures []string // beside the system's own
	Alternatives  [][2]string
	Defaults      map[string]string // path of a configuration file to ALGORITHM:HEX of it in its package
	Owned         []string
	World         []string // of apk: what was asked for, as it has it
}

// sections are those of what an Inventory script wrote.
func sections(out string) map[string]string {
	s := map[string]string{}
	for _, part := range strings.Split("\n"+out, "\n@@") {
		name, text, _ := strings.Cut(part, "\n")
		s[name] = text
	}
	return s
}

// Inventory lists what there is.
func (s *System) Inventory(ctx context.Context) (*Inventory, error) {
	quiet := *s
	quiet.Said = nil // lists are nothing to show
	r, err := quiet.do(ctx, "list what is installed", []string{"sh", "-c", s.Carry.Inventory})
	if err != nil {
		return nil, err
	}
	return s.readInventory(r.out), nil
}

func (s *System) readInventory(out string) *Inventory {
	sec := sections(out)
	i := &Inventory{
		Asked: fields(sec["asked"]), Installed: map[string]string{}, Held: fields(sec["held"]), Local: fields(sec["local"]),
		Architectures: fields(sec["architectures"]), Defaults: map[string]string{}, Owned: lines(sec["owned"]),
	}
	for _, l := range lines(sec["installed"]) {
		if f := strings.Fields(l); len(f) == 2 {
			i.Installed[f[0]] = f[1]
		}
	}
	for _, l := range lines(sec["alternatives"]) {
		if f := strings.Fields(l); len(f) == 2 {
			i.Alternatives = append(i.Alternatives, [2]string{f[0], f[1]})
		}
	}
	if s.Carry.Read != nil {
		s.Carry.Read(sec, i)
	}
	proper := func(names []string) []string {
		return slices.DeleteFunc(names, func(n string) bool { return CheckNames([]string{n}) != nil })
	}
	i.Asked, i.Held, i.Local = proper(i.Asked), proper(i.Held), proper(i.Local)
	return i
}

// lines are those that are not empty.
func lines(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return l == "" })
}

// Available says which of the packages a repository has, by the indexes that are there.
func (s *System) Available(ctx context.Context, names []string) (map[string]bool, error) {
	have := map[string]bool{}
	if len(names) == 0 {
		return have, CheckNames(names)
	}
	quiet := *s
	quiet.Said = nil
	r, err := quiet.call(ctx, append(slices.Clone(s.Carry.Available), names...))
	if err != nil {
		return nil, err
	}
	read := s.Carry.ReadNames
	if read == nil {
		read = fields
	}
	for _, n := range read(r.out) {
		have[n] = true
	}
	return have, nil
}

// Answers says whether the repositories that a file names answer: the error wraps ErrFetch
// if not. Without a quick way to see, all repositories are fetched.
func (s *System) Answers(ctx context.Context, path string) error {
	if len(s.Carry.Try) == 0 {
		return s.Ready(ctx)
	}
	r, err := s.do(ctx, "fetch what "+path+" names", append(slices.Clone(s.Carry.Try), path))
	if err == nil && errors.Is(s.kindOf(r.all), ErrFetch) {
		return s.failure("fetch what "+path+" names", r.code, r.all)
	}
	return err
}

// Ready brings a system to where packages can be installed: it fetches the indexes, or
// upgrades everything where the package manager has no halves.
func (s *System) Ready(ctx context.Context) error {
	if len(s.Refresh) > 0 {
		return s.Refreshed(ctx)
	}
	_, err := s.do(ctx, "upgrade", s.Upgrade)
	return err
}

// AddAll installs packages together, and where that fails, each that can be. It returns why
// the others could not.
func (s *System) AddAll(ctx context.Context, names []string) (map[string]error, error) {
	return s.addAll(ctx, names, func(names []string) error { return s.Add(ctx, names) })
}

// AddFiles is AddAll for packages that are files in the system.
func (s *System) AddFiles(ctx context.Context, paths []string) (map[string]error, error) {
	return s.addAll(ctx, paths, func(paths []string) error {
		_, err := s.do(ctx, "install "+strings.Join(paths, ", "), append(slices.Clone(s.Carry.AddFiles), paths...))
		return err
	})
}

func (s *System) addAll(ctx context.Context, names []string, add func([]string) error) (map[string]error, error) {
	failed := map[string]error{}
	if len(names) == 0 {
		return failed, nil
	}
	err := add(names)
	if err == nil {
		return failed, nil
	}
	if ctx.Err() != nil || errors.Is(err, ErrSpace) || errors.Is(err, ErrFetch) || errors.Is(err, ErrSilent) {
		return nil, err // which is not for one of them
	}
	if len(names) == 1 {
		return map[string]error{names[0]: err}, nil
	}
	half := len(names) / 2
	for _, some := range [][]string{names[:half], names[half:]} {
		f, err := s.addAll(ctx, some, add)
		if err != nil {
			return nil, err
		}
		maps.Copy(failed, f)
	}
	return failed, nil
}

// Hold keeps packages from being upgraded.
func (s *System) Hold(ctx context.Context, names []string) error {
	if len(names) == 0 || len(s.Carry.Hold) == 0 {
		return nil
	}
	_, err := s.do(ctx, "hold "+strings.Join(names, ", "), append(slices.Clone(s.Carry.Hold), names...))
	return err
}

// Repack makes a file of an installed package in a directory of the system, and returns its
// path.
func (s *System) Repack(ctx context.Context, name, dir string) (string, error) {
	if s.Carry.Repack == "" {
		return "", fail.New(fail.Unable, "%s cannot make a file of an installed package", s.Name)
	}
	if err := CheckNames([]string{name}); err != nil {
		return "", err
	}
	r, err := s.do(ctx, "make a file of "+name, []string{"sh", "-c", s.Carry.Repack, "sh", name, dir})
	if err != nil {
		return "", err
	}
	all := lines(r.out)
	if len(all) == 0 || !strings.HasPrefix(all[len(all)-1], dir+"/") {
		return "", fail.New(fail.Unable, "%s did not make a file of %s", s.Name, name)
	}
	return all[len(all)-1], nil
}

// UseArchitectures has packages of other architectures too.
func (s *System) UseArchitectures(ctx context.Context, names []string) error {
	for _, n := range names {
		if _, err := s.do(ctx, "add architecture "+n, []string{"dpkg", "--add-architecture", n}); err != nil {
			return err
		}
	}
	return nil
}

// UseAlternative chooses one of several programs that have a name, if it is there.
func (s *System) UseAlternative(ctx context.Context, a [2]string) error {
	_, err := s.do(ctx, fmt.Sprintf("choose %s for %s", a[1], a[0]), []string{"update-alternatives", "--set", a[0], a[1]})
	return err
}

// Run runs a command in the system, which must succeed.
func (s *System) Run(ctx context.Context, args ...string) (string, error) {
	r, err := s.do(ctx, "run "+strings.Join(args, " "), args)
	return r.out, err
}
