package packages

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// apkCarry goes by apk's own files: /etc/apk/world is what was asked for, apk-world(5), and
// the database lists files with their digests, apk-installed(5).
func apkCarry() *Carry {
	return &Carry{
		Inventory: `echo @@world; cat /etc/apk/world
echo @@db; cat /lib/apk/db/installed 2>/dev/null || cat /usr/lib/apk/db/installed`,
		Read:         readApkInventory,
		Available:    []string{"apk", "search", "--quiet", "--exact"},
		AddFiles:     []string{"apk", "--wait", "600", "--no-progress", "add", "--allow-untrusted"},
		Repositories: []string{"/etc/apk/repositories"},
		Settings:     []string{"/etc/apk/keys", "/etc/apk/protected_paths.d", "/etc/apk/repositories.d"},
		Own:          []string{"/etc/apk/world", "/etc/apk/repositories", "/etc/apk/arch", "/lib/apk/", "/usr/lib/apk/", "*.apk-new"},
		Rewrite:      func(text string, r *Renaming) string { return r.Text(text) },
		Exact:        apkExact(),
	}
}

// readApkInventory reads both. A word of world may have a version, which holds the package, a
// repository's tag, or the digest of a file; a group that its user made begins with a dot.
func readApkInventory(sec map[string]string, i *Inventory) {
	for _, w := range strings.Fields(sec["world"]) {
		end := strings.IndexAny(w, "=<>~@")
		switch {
		case strings.HasPrefix(w, "!"):
			i.World = append(i.World, w)
			continue
		case strings.HasPrefix(w, "."):
			continue
		case end < 0:
			i.Asked, i.World = append(i.Asked, w), append(i.World, w)
			continue
		}
		name, how := w[:end], w[end:]
		if !strings.HasPrefix(how, "><") { // the file that it came from is gone
			i.World = append(i.World, w)
		}
		i.Asked = append(i.Asked, name)
		switch {
		case strings.HasPrefix(how, "><"):
			i.Local = append(i.Local, name)
		case how[0] != '@':
			i.Held = append(i.Held, name)
		}
	}
	var name, dir, file string
	for _, l := range strings.Split(sec["db"], "\n") {
		key, value, _ := strings.Cut(l, ":")
		switch key {
		case "P":
			name = value
		case "V":
			i.Installed[name] = value
		case "F":
			dir = "/" + value
		case "R":
			file = strings.TrimSuffix(dir, "/") + "/" + value
			i.Owned = append(i.Owned, file)
		case "Z":
			sum, ok := strings.CutPrefix(value, "Q1")
			digest, err := base64.StdEncoding.DecodeString(sum)
			if ok && err == nil && strings.HasPrefix(file, "/etc/") {
				i.Defaults[file] = "sha1:" + hex.EncodeToString(digest)
			}
		}
	}
}

// pacmanCarry: what is in no repository may still be in the cache that it was installed from.
func pacmanCarry() *Carry {
	return &Carry{
		Inventory: `export LC_ALL=C.UTF-8
echo @@asked; pacman -Qqe
echo @@installed; pacman -Q
echo @@local; pacman -Qqm
echo @@files; cat /var/lib/pacman/local/*/files
echo @@owned; pacman -Qlq
true`,
		Read:      readPacmanFiles,
		Available: []string{"sh", "-c", `pacman -Slq | grep -Fx "$(printf '%s\n' "$@")"`, "sh"},
		AddFiles:  []string{"pacman", "-U", "--needed", "--noconfirm", "--color", "never", "--"},
		Repack: `set -e
v=$(pacman -Q "$1" | cut -d' ' -f2)
for f in /var/cache/pacman/pkg/"$1-$v"-*.pkg.tar*; do
	case $f in *.sig) continue; esac
	if [ -f "$f" ]; then mkdir -p "$2"; cp -p "$f" "$2"; echo "$2/${f##*/}"; exit; fi
done
echo "error: its file is not in pacman's cache any more" >&2; exit 1`,
		Settings: []string{"/etc/pacman.conf", "/etc/pacman.d/hooks", "/etc/pacman.d/mirrorlist", "/etc/makepkg.conf"},
		Own:      []string{"/etc/pacman.d/gnupg/", "/var/lib/pacman/", "*.pacnew", "*.pacsave"},
		Exact:    pacmanExact(),
	}
}

// readPacmanFiles reads the part %BACKUP% of pacman's database: PATH, a tab and its MD5.
func readPacmanFiles(sec map[string]string, i *Inventory) {
	in := false
	for _, l := range strings.Split(sec["files"], "\n") {
		if strings.HasPrefix(l, "%") {
			in = l == "%BACKUP%"
			continue
		}
		if p, sum, ok := strings.Cut(l, "\t"); ok && in {
			i.Defaults["/"+p] = "md5:" + sum
		}
	}
}

func xbpsCarry() *Carry {
	names := func(out string, at int) []string {
		var names []string
		for _, l := range lines(out) {
			if f := strings.Fields(l); len(f) > at {
				if m := xbpsName().FindStringSubmatch(f[at]); m != nil {
					names = append(names, m[1])
				}
			}
		}
		return names
	}
	return &Carry{
		Inventory: `export LC_ALL=C.UTF-8
echo @@manual; xbps-query -m
echo @@list; xbps-query -l
echo @@hold; xbps-query --list-hold-pkgs
echo @@files; xbps-query -o '*'
true`,
		Read: func(sec map[string]string, i *Inventory) {
			i.Asked, i.Held = names(sec["manual"], 0), names(sec["hold"], 0)
			for _, l := range lines(sec["list"]) { // ii NAME-VERSION SUMMARY
				if f := strings.Fields(l); len(f) > 1 {
					if m := xbpsName().FindStringSubmatch(f[1]); m != nil {
						i.Installed[m[1]] = m[2]
					}
				}
			}
			for _, l := range lines(sec["files"]) { // PACKAGE: PATH (KIND)
				if _, p, ok := strings.Cut(l, ": "); ok {
					p, _, _ = strings.Cut(p, " (")
					i.Owned = append(i.Owned, p)
				}
			}
		},
		Available: []string{"sh", "-c", `for n; do if xbps-query -R "$n" >/dev/null 2>&1; then echo "$n"; fi; done`, "sh"},
		Hold:      []string{"xbps-pkgdb", "-m", "hold"},
		Settings:  []string{"/etc/xbps.d", "/var/db/xbps/keys"},
		Own:       []string{"/var/db/xbps/", "*.new-*"},
		Exact:     xbpsExact(),
	}
}
