package boxinit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ensureLocales makes the host's locales usable in an image with glibc. They are
// generated once, into the image's own archive, from the image's sources or the host's; a
// musl image needs none.
func (b *box) ensureLocales() error {
	b.locales = b.cfg.Locales
	if b.root != "" || !b.exists("/usr/bin/localedef") {
		return nil
	}
	var missing []string
	for _, name := range b.cfg.Locales {
		if !builtInLocale(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	have, err := exec.Command("/usr/bin/localedef", "--list-archive").Output()
	known := map[string]bool{}
	if err == nil {
		for _, l := range strings.Fields(string(have)) {
			known[normaliseLocale(l)] = true
		}
	}
	var failed []error
	for _, name := range missing {
		if known[normaliseLocale(name)] || b.exists("/usr/lib/locale/"+normaliseLocale(name)) {
			continue
		}
		known[normaliseLocale(name)] = true // or impossible
		if err := generateLocale(name); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// builtInLocale reports whether glibc has the locale without any file, or every
// distribution ships it.
func builtInLocale(name string) bool {
	switch normaliseLocale(name) {
	case "", "C", "POSIX", "C.utf8":
		return true
	}
	return false
}

// normaliseLocale writes the codeset as glibc does: de_DE.UTF-8 is de_DE.utf8.
func normaliseLocale(name string) string {
	lang, rest, ok := strings.Cut(name, ".")
	if !ok {
		return name
	}
	codeset, modifier, _ := strings.Cut(rest, "@")
	codeset = strings.ToLower(strings.ReplaceAll(codeset, "-", ""))
	if modifier != "" {
		codeset += "@" + modifier
	}
	return lang + "." + codeset
}

func generateLocale(name string) error {
	lang, rest, _ := strings.Cut(name, ".")
	codeset, modifier, _ := strings.Cut(rest, "@")
	if codeset == "" {
		codeset = "UTF-8"
	}
	source := lang
	if modifier != "" {
		source += "@" + modifier
	}
	if strings.ContainsAny(source, "/") {
		return fmt.Errorf("locale %s: not a locale's name", name)
	}
	for _, i18n := range []string{"/usr/share/i18n", HostView + "/usr/share/i18n"} {
		if _, err := os.Stat(i18n + "/locales/" + source); err != nil {
			continue
		}
		cmd := exec.Command("/usr/bin/localedef", "-i", source, "-f", codeset, name)
		cmd.Env = append(os.Environ(), "I18NPATH="+i18n)
		out, err := cmd.CombinedOutput()
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			// localedef exits with 1 for a warning too; the archive decides.
			if list, lerr := exec.Command("/usr/bin/localedef", "--list-archive").Output(); lerr == nil &&
				strings.Contains(string(list), normaliseLocale(name)) {
				return nil
			}
			return fmt.Errorf("locale %s could not be generated: %w: %s", name, err, strings.TrimSpace(string(out)))
		}
		return err
	}
	return fmt.Errorf("locale %s is neither in the image nor can it be generated; install the image's locales package (Debian: "+
		"locales, Fedora: glibc-langpack-%s)", name, strings.ToLower(strings.Split(lang, "_")[0]))
}
