package provision

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/packages"
)

// write writes the lock file and the Containerfile, and puts all at their places.
func (f *freezing) write() error {
	lock, err := f.lock.text()
	if err != nil {
		return err
	}
	for _, t := range []struct {
		name string
		text []byte
	}{{lockFile, lock}, {containerfile, []byte(f.containerfile())}} {
		err := f.dir.fill(t.name, func(out io.Writer) error {
			_, err := out.Write(t.text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return f.dir.commit()
}

// containerfile makes the image that the toolbox is.
func (f *freezing) containerfile() string {
	var b strings.Builder
	say := func(format string, words ...any) { fmt.Fprintf(&b, format+"\n", words...) }
	say("# What toolbox %s consists of, by tbx freeze; %s beside has versions and digests.", f.lock.Toolbox, lockFile)
	from := f.lock.Image.Reference
	if f.lock.Image.Digest != "" {
		say("# Its image was called %s.", oneLine(from))
		from = f.lock.Image.Digest
	} else {
		say("# The image was made on one machine; its id there is %s.", f.lock.Image.ID)
	}
	say("FROM %s", oneLine(from))
	user := f.image.User
	if user != "" {
		say("USER 0:0")
	}
	if len(f.settings)+len(f.removed) > 0 {
		say("\n# Repositories, keys and settings of the package manager.")
	}
	if len(f.settings) > 0 {
		say("ADD %s /", settingsTar)
	}
	if len(f.removed) > 0 {
		run(&b, []string{removal(f.removed)})
	}
	if len(f.accounts) > 0 {
		say("\n# Users and groups, with their numbers and without passwords.")
		run(&b, f.accounts)
	}
	f.installing(&b, say)
	if len(f.files) > 0 {
		say("\n# Files that no package brought, or brought otherwise.\nADD %s /", filesTar)
	}
	if len(f.modes) > 0 {
		say("\n# Directories of the image with another mode or owner.")
		run(&b, f.modes)
	}
	later := slices.DeleteFunc(slices.Clone(f.lock.Removed), func(p string) bool { return slices.Contains(f.removed, p) })
	if len(later) > 0 {
		say("\n# Files that were removed.")
		run(&b, []string{removal(later)})
	}
	certificate := func(e FrozenFile) bool { return strings.HasPrefix(e.Path, "/usr/local/share/ca-certificates/") }
	if f.shell && slices.ContainsFunc(f.lock.Files, certificate) {
		say("\n# Certificates among them.")
		run(&b, []string{"{ ! command -v update-ca-certificates || update-ca-certificates; }"})
	}
	if user != "" {
		say("\nUSER %s", oneLine(user))
	}
	return b.String()
}

// installing has the packages of the toolbox installed, by their exact versions.
func (f *freezing) installing(b *strings.Builder, say func(string, ...any)) {
	if f.old == nil {
		return
	}
	commands := f.old.Commands(f.wanted)
	if len(commands) == 0 {
		return
	}
	say("\n# Packages, in exactly these versions.")
	if len(f.wanted.Files) > 0 {
		say("ADD %s /", packagesTar)
		commands = append(commands, "rm -rf "+frozenDir)
	}
	if env := f.old.Carry.Exact.Env; env != "" {
		commands = append([]string{env}, commands...)
	}
	run(b, commands)
}

func removal(paths []string) string {
	words := make([]string, len(paths))
	for i, p := range paths {
		words[i] = packages.Quote(p)
	}
	return "rm -rf -- \\\n        " + strings.Join(words, " \\\n        ")
}

// run is one step of several commands.
func run(b *strings.Builder, commands []string) {
	fmt.Fprintf(b, "RUN %s\n", strings.Join(commands, " && \\\n    "))
}

// oneLine is a text from elsewhere that must not begin another line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), "") }
