package packages

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Exact is how a system is brought to packages of exact versions, by a shell.
type Exact struct {
	Env     string   // before every command
	Refresh string   // fetches the indexes; empty: Install does
	Install []string // before the packages, each as Pin has it; no more than these are wanted
	Pin     func(name, version string) string
	Fetch   []string // before names: lists which versions repositories have, see apt-cache(8); empty: nobody can tell
	Files   []string // before paths of packages that are files; empty: it cannot, or Install takes them too
	Both    bool     // Install takes them too
	Remove  []string // before names
	Depends []string // before names: they came along with others
	Asked   []string // before names: somebody asked for them
	// List writes the list of what was asked for, or of what was not, where there is no
	// command for it; nil: there is one.
	List  func(w *Wanted) string
	Clean string // removes what was fetched
}

// Wanted is what a system is to have, beside what its image has.
type Wanted struct {
	Architectures []string
	Install       map[string]string // name to version: those that the image has not, or in another version
	Files         []string          // paths of packages that are files
	FileNames     []string          // the names of those
	Remove        []string
	Depends       []string // what is not asked for, and would be taken for it
	Asked         []string // the other way round
	World         []string // all that was asked for, as its package manager has it
	Held          []string
	Alternatives  [][2]string
}

// Versions are the installed packages by name, each once: of another architecture than the
// system's as NAME:ARCHITECTURE.
func (i *Inventory) Versions() map[string]string {
	all := map[string]string{}
	foreign := func(n string) bool {
		_, arch, ok := strings.Cut(n, ":")
		return ok && slices.Contains(i.Architectures, arch)
	}
	own := map[string]bool{} // names without an architecture of which one is the system's own
	for n := range i.Installed {
		if name, _, ok := strings.Cut(n, ":"); ok && !foreign(n) {
			own[name] = true
		}
	}
	for n, v := range i.Installed {
		switch {
		case n == "gpg-pubkey": // rpm keeps keys as packages
		case foreign(n):
			all[n] = v
		case !strings.Contains(n, ":") && (own[n] || !i.onlyForeign(n)):
			all[n] = v
		}
	}
	return all
}

// onlyForeign says whether a package is there for another architecture only.
func (i *Inventory) onlyForeign(name string) bool {
	return slices.ContainsFunc(i.Architectures, func(a string) bool { return i.Installed[name+":"+a] != "" })
}

// Want compares what is installed with what an image has.
func Want(is, image *Inventory) *Wanted {
	have, had := is.Versions(), image.Versions()
	w := &Wanted{Install: map[string]string{}, World: is.World}
	for n, v := range have {
		if had[n] != v {
			w.Install[n] = v
		}
	}
	for n := range had {
		if have[n] == "" {
			w.Remove = append(w.Remove, n)
		}
	}
	for n := range have {
		was, asked := slices.Contains(image.Asked, n), slices.Contains(is.Asked, n)
		switch {
		case asked && !was && w.Install[n] == "", asked && w.Install[n] != "" && had[n] != "" && !was:
			w.Asked = append(w.Asked, n)
		case !asked && (was || w.Install[n] != ""):
			w.Depends = append(w.Depends, n)
		}
	}
	slices.Sort(w.Remove)
	slices.Sort(w.Asked)
	slices.Sort(w.Depends)
	w.Architectures = without(is.Architectures, image.Architectures)
	w.Held = without(is.Held, image.Held)
	for _, a := range is.Alternatives {
		if !slices.Contains(image.Alternatives, a) {
			w.Alternatives = append(w.Alternatives, a)
		}
	}
	return w
}

// Unfetchable are the packages to install of which no repository has that version, by the
// indexes that are there, and which can be made a file. Without indexes there are none.
func (s *System) Unfetchable(ctx context.Context, has *Inventory, w *Wanted) ([]string, error) {
	x := s.Carry.Exact
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(w.Install)), func(n string) bool { return strings.Contains(n, ":") })
	if len(names) == 0 || has.Unknown {
		return nil, nil
	}
	if len(x.Fetch) == 0 {
		return slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(has.Local, n) }), nil
	}
	quiet := *s
	quiet.Said = nil
	r, err := quiet.do(ctx, "list what repositories have", append(slices.Clone(x.Fetch), names...))
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, l := range lines(r.out) { // NAME | VERSION | SOURCE
		if f := strings.Split(l, "|"); len(f) >= 3 {
			have[strings.TrimSpace(f[0])+"="+strings.TrimSpace(f[1])] = true
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return have[n+"="+w.Install[n]] }), nil
}

func without(all, some []string) []string {
	out := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
	slices.Sort(out)
	return slices.Compact(out)
}

// Commands are those of a shell that bring a system to what is wanted; none where that is
// nothing.
func (m *Manager) Commands(w *Wanted) []string {
	x := m.Carry.Exact
	var out []string
	call := func(before []string, words ...string) {
		if len(words) > 0 && len(before) > 0 {
			out = append(out, shell(before)+" \\\n"+wrapped(words))
		}
	}
	for _, a := range w.Architectures {
		out = append(out, shell([]string{"dpkg", "--add-architecture", a}))
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(w.Install)), func(n string) bool { return slices.Contains(w.FileNames, n) })
	if x.Refresh != "" && len(names)+len(w.Files) > 0 {
		out = append(out, x.Refresh)
	}
	var pins []string
	for _, n := range names {
		pins = append(pins, x.Pin(n, w.Install[n]))
	}
	if x.Both {
		pins = append(pins, w.Files...)
	} else {
		call(x.Files, w.Files...)
	}
	call(x.Install, pins...)
	call(x.Remove, w.Remove...)
	if x.List != nil {
		if list := x.List(w); list != "" {
			out = append(out, list)
		}
	}
	call(x.Depends, w.Depends...)
	call(x.Asked, w.Asked...)
	call(m.Carry.Hold, w.Held...)
	for _, a := range w.Alternatives {
		out = append(out, shell([]string{"update-alternatives", "--set", a[0], a[1]}))
	}
	if len(names)+len(w.Files) > 0 && x.Clean != "" {
		out = append(out, x.Clean)
	}
	return out
}

// wrapped puts each word on a line of its own.
func wrapped(words []string) string {
	lines := make([]string, len(words))
	for i, w := range words {
		lines[i] = "        " + Quote(w)
	}
	return strings.Join(lines, " \\\n")
}

func shell(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Quote is a word of a shell's.
func Quote(word string) string {
	if word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_~") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func equals(name, version string) string { return name + "=" + version }
func dash(name, version string) string   { return name + "-" + version }

// printed is a command that writes lines to a file.
func printed(lines []string, file string) string {
	if len(lines) == 0 {
		return ": >" + file
	}
	return `printf '%s\n' ` + shell(lines) + " >" + file
}

func aptExact() *Exact {
	return &Exact{
		Env:     "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8",
		Refresh: "apt-get update",
		Install: []string{
			"apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages",
			"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "--",
		},
		Pin:     equals,
		Fetch:   []string{"apt-cache", "madison"},
		Both:    true,
		Remove:  []string{"apt-get", "remove", "--yes", "--allow-change-held-packages", "--"},
		Depends: []string{"apt-mark", "auto", "--"},
		Asked:   []string{"apt-mark", "manual", "--"},
		Clean:   "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb",
	}
}

// apkExact: what is asked for is a file, and adding pins what it adds.
func apkExact() *Exact {
	return &Exact{
		Install: []string{"apk", "--no-progress", "add", "--no-cache"},
		Pin:     equals,
		Remove:  []string{"apk", "--no-progress", "del"},
		List: func(w *Wanted) string {
			if len(w.Install)+len(w.Remove)+len(w.Asked)+len(w.Depends) == 0 {
				return ""
			}
			return printed(w.World, "/etc/apk/world")
		},
	}
}

func dnfExact(program string) *Exact {
	depends := []string{program, "-y", "mark", "remove"}
	asked := []string{program, "-y", "mark", "install"}
	if program == "dnf5" {
		depends, asked = []string{program, "-y", "mark", "dependency"}, []string{program, "-y", "mark", "user"}
	}
	return &Exact{
		Install: []string{program, "-y", "--setopt=install_weak_deps=False", "--allowerasing", "install"},
		Pin:     dash,
		Remove:  []string{program, "-y", "remove"},
		Depends: depends,
		Asked:   asked,
		Clean:   program + " clean all",
	}
}

// zypperExact: what came along with others is a file, one name a line.
func zypperExact() *Exact {
	return &Exact{
		Install: []string{"zypper", "--non-interactive", "install", "--no-recommends", "--oldpackage", "--"},
		Pin:     equals,
		Remove:  []string{"zypper", "--non-interactive", "remove", "--"},
		List: func(w *Wanted) string {
			if len(w.Depends) == 0 {
				return ""
			}
			return strings.Replace(printed(w.Depends, "/var/lib/zypp/AutoInstalled"), " >/", " >>/", 1)
		},
		Clean: "zypper clean --all",
	}
}

func pacmanExact() *Exact {
	return &Exact{
		Install: []string{"pacman", "-Sy", "--noconfirm", "--needed", "--"},
		Pin:     equals,
		Files:   []string{"pacman", "-U", "--needed", "--noconfirm", "--"},
		Remove:  []string{"pacman", "-R", "--noconfirm", "--"},
		Depends: []string{"pacman", "-D", "--asdeps", "--"},
		Asked:   []string{"pacman", "-D", "--asexplicit", "--"},
		Clean:   "rm -rf /var/cache/pacman/pkg/*",
	}
}

func xbpsExact() *Exact {
	return &Exact{
		Install: []string{"xbps-install", "-Sy"},
		Pin:     dash,
		Remove:  []string{"xbps-remove", "-y"},
		Depends: []string{"xbps-pkgdb", "-m", "auto"},
		Asked:   []string{"xbps-pkgdb", "-m", "manual"},
		Clean:   "rm -rf /var/cache/xbps/*",
	}
}
