package declare

import (
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// check looks at one toolbox as it is written, where the lines are known, and expands its
// variables.
func (p *parser) check(name string, e *entry) error {
	if _, err := toolbox.ParseName(name); err != nil {
		return p.placed(p.text.Line("toolbox", name), "toolbox", err)
	}
	if err := p.noNUL(name, reflect.ValueOf(*e)); err != nil {
		return err
	}
	for _, step := range []func(string, *entry) error{
		p.expandEntry, p.checkSource, p.checkSettings, p.checkPackages, p.checkFiles, p.checkSetup,
	} {
		if err := step(name, e); err != nil {
			return err
		}
	}
	return nil
}

// noNUL refuses what no program and no file name can be given: TOML can write it as an escape.
func (p *parser) noNUL(name string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			if err := p.noNUL(name, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		for _, s := range texts(v.Field(i)) {
			if strings.ContainsRune(s, 0) {
				return p.badKey(name, field.Tag.Get("toml"), "%s: there is a NUL character", field.Tag.Get("toml"))
			}
		}
	}
	return nil
}

// texts are the strings in a value.
func texts(v reflect.Value) []string {
	var out []string
	switch v.Kind() {
	case reflect.String:
		out = append(out, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, texts(v.Index(i))...)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			out = append(append(out, k.String()), texts(v.MapIndex(k))...)
		}
	}
	return out
}

func (p *parser) expandEntry(name string, e *entry) error {
	for key, values := range map[string][]*string{
		"image": {&e.Image}, "distro": {&e.Distro}, "release": {&e.Release}, "containerfile": {&e.Containerfile},
		"hostname": {&e.Hostname}, "home": {&e.Home}, "volumes": pointers(e.Volumes), "env": pointers(e.Env), "share": pointers(e.Share),
	} {
		if err := p.expandAll(name, key, values...); err != nil {
			return err
		}
	}
	e.Home = p.place(e.Home)
	if e.Containerfile != "" {
		e.Containerfile = p.absolute(e.Containerfile)
	}
	for i, v := range e.Volumes {
		source, rest, _ := strings.Cut(v, ":")
		e.Volumes[i] = p.place(source) + ":" + rest
	}
	for i, v := range e.Share {
		dir, rest, ro := strings.Cut(v, ":")
		if e.Share[i] = p.place(dir); ro {
			e.Share[i] += ":" + rest
		}
	}
	return nil
}

func pointers(list []string) []*string {
	out := make([]*string, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// place makes a path absolute that begins with ~/ or with a dot.
func (p *parser) place(s string) string {
	switch {
	case s == "~" || strings.HasPrefix(s, "~/"):
		return p.who.Home + s[1:]
	case s == "." || s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../"):
		return filepath.Join(p.dir, s)
	}
	return s
}

// absolute is place for a file, which needs no dot.
func (p *parser) absolute(s string) string {
	if s = p.place(s); filepath.IsAbs(s) {
		return filepath.Clean(s)
	}
	return filepath.Join(p.dir, s)
}

// checkSource refuses more than one thing to make a toolbox from.
func (p *parser) checkSource(name string, e *entry) error {
	switch {
	case e.Image != "" && (e.Distro != "" || e.Release != ""), e.Containerfile != "" && (e.Image != "" || e.Distro != "" || e.Release != ""):
		return p.bad(p.text.Line("toolbox", name), "toolbox %s is made from two things", name).
			Hint("write one of: image, containerfile, distro (with or without release)")
	}
	return nil
}

func (p *parser) checkSettings(name string, e *entry) error {
	if err := integration.Check(e.Without); err != nil {
		return p.in(name, "without", err)
	}
	for _, kv := range e.Env {
		if v, _, ok := strings.Cut(kv, "="); !ok || v == "" {
			return p.badKey(name, "env", "env: %s is not NAME=VALUE", escape.Quote(kv))
		}
	}
	for _, v := range e.Volumes {
		if _, err := toolbox.ParseVolume(v); err != nil {
			return p.in(name, "volumes", err)
		}
	}
	if e.Home != "" && !filepath.IsAbs(e.Home) {
		return p.badKey(name, "home", "home: %s is no path from / on", escape.Quote(e.Home)).Hint("begin it with ~/, ./ or /")
	}
	return nil
}

func (p *parser) checkPackages(name string, e *entry) error {
	if err := packages.CheckNames(e.Packages); err != nil {
		return p.in(name, "packages", err)
	}
	var known []string
	for _, m := range packages.Managers() {
		known = append(known, m.Name)
	}
	for _, manager := range slices.Sorted(maps.Keys(e.PackagesFor)) {
		line := p.text.Line("toolbox", name, "packages_for", manager)
		if !slices.Contains(known, manager) {
			return didYouMean(p.bad(line, "packages_for: there is no package manager %s", escape.Quote(manager)), manager, known)
		}
		if err := packages.CheckNames(e.PackagesFor[manager]); err != nil {
			return p.placed(line, "packages_for", err)
		}
	}
	return nil
}

// notOfToolbox are directories in which a toolbox has something of the host's, or nothing
// that stays.
var notOfToolbox = []string{"/home", "/run", "/proc", "/sys", "/dev", "/tmp", "/var/home"}

func (p *parser) checkFiles(name string, e *entry) error {
	for _, at := range slices.Sorted(maps.Keys(e.Files)) {
		f, line := e.Files[at], p.text.Line("toolbox", name, "files", at)
		bad := func(format string, args ...any) *fail.Error {
			return p.bad(line, "file "+escape.Quote(at)+": "+format, args...)
		}
		if !strings.HasPrefix(at, "/") || path.Clean(at) != at || at == "/" {
			return bad("it is no path of a file from / on, without . and .. in it")
		}
		for _, dir := range append(slices.Clone(notOfToolbox), p.who.Home) {
			if below(at, dir) {
				return bad("%s is not the toolbox's own", dir).
					Hint("write below /etc, /usr/local or /opt; for your home, write a command into setup_user")
			}
		}
		if (f.Text == nil) == (f.Source == "") {
			return bad("it must have a text or a source, and not both")
		}
		if f.Text != nil && strings.ContainsRune(*f.Text, 0) {
			return bad("there is a NUL character in its text").Hint("write it with source")
		}
		if err := p.expandAll(name, "files", &f.Source); err != nil {
			return err
		}
		if _, ok := parseMode(f.Mode); !ok {
			return bad("mode %s is none", escape.Quote(f.Mode)).Hint("write it in octal digits, such as 0644 or 0755")
		}
	}
	return nil
}

// below says whether path is dir or in it.
func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func (p *parser) checkSetup(name string, e *entry) error {
	for key, list := range map[string][]string{"setup": e.Setup, "setup_user": e.SetupUser} {
		for _, s := range list {
			if strings.TrimSpace(s) == "" {
				return p.badKey(name, key, "%s: a command is empty", key)
			}
			if len(s) >= maxCommand {
				return p.badKey(name, key, "%s: a command is longer than 128 KiB", key).Hint("put it into a file, and call that")
			}
		}
	}
	return nil
}
