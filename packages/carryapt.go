package packages

import (
	"slices"
	"strings"
)

// aptInventory asks for what apt and dpkg know; see dpkg-query(1), apt-mark(8) and ucf(1).
const aptInventory = `export LC_ALL=C.UTF-8
echo @@asked; apt-mark showmanual
echo @@status; dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n'
echo @@held; apt-mark showhold
echo @@policy; apt-mark showmanual | xargs -r apt-cache policy
echo @@conf; dpkg-query -W -f '${Conffiles}\n'
echo @@ucf; cat /var/lib/ucf/hashfile 2>/dev/null
echo @@architectures; dpkg --print-foreign-architectures
echo @@selections; update-alternatives --get-selections
echo @@owned; cat /var/lib/dpkg/info/*.list
true`

// aptRepack makes a package of what is installed, as dpkg knows it, deb(5). The same package
// makes the same bytes: nothing in it is newer than its installation, dpkg-deb(1).
const aptRepack = `set -e
p=$1 w=$(mktemp -d "$2/.made.XXXXXX")
for l in "/var/lib/dpkg/info/$p.list" "/var/lib/dpkg/info/${p%%:*}":*.list "/var/lib/dpkg/info/${p%%:*}.list"; do
	if [ -f "$l" ]; then SOURCE_DATE_EPOCH=$(date -r "$l" +%s); export SOURCE_DATE_EPOCH; break; fi
done
chmod 755 "$w"; mkdir "$w/DEBIAN"
dpkg-query -s "$p" | sed -e '/^Status:/d' -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >"$w/DEBIAN/control"
for part in conffiles config md5sums postinst postrm preinst prerm shlibs symbols templates triggers; do
	f=$(dpkg-query --control-path "$p" "$part")
	if [ -n "$f" ]; then cp -p "$f" "$w/DEBIAN/$part"; fi
done
dpkg-query -L "$p" | while IFS= read -r f; do
	case $f in /.|/) continue; esac
	if [ -d "$f" ] && [ ! -L "$f" ]; then mkdir -p "$w$f"; chmod --reference="$f" "$w$f"; chown --reference="$f" "$w$f"; continue; fi
	if [ -e "$f" ] || [ -L "$f" ]; then mkdir -p "$w$(dirname "$f")"; cp -a "$f" "$w$f"; fi
done
dpkg-deb -Zgzip --build "$w" "$2/${p%%:*}.deb" >/dev/null
if [ -f "$l" ]; then touch -r "$l" "$2/${p%%:*}.deb"; fi
rm -rf "$w"
echo "$2/${p%%:*}.deb"`

// aptTry fetches what one file names, and keeps what there is of others. Pins are no such file.
const aptTry = `case $1 in /etc/apt/preferences*) exit 0; esac
exec apt-get --quiet -o Acquire::Retries=0 -o APT::Update::Error-Mode=any -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- \
	-o APT::Get::List-Cleanup=0 update`

func aptCarry() *Carry {
	return &Carry{
		Inventory: aptInventory,
		Read:      readAptInventory,
		Available: []string{"apt-cache", "policy", "--"},
		ReadNames: func(out string) []string {
			var names []string
			for _, p := range readPolicy(out) {
				if p.candidate {
					names = append(names, p.name)
				}
			}
			return names
		},
		Try:      []string{"sh", "-c", aptTry, "sh"},
		Hold:     []string{"apt-mark", "hold", "--"},
		AddFiles: aptGet("--no-remove", "install", "--"),
		Repack:   aptRepack,
		Repositories: []string{
			"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources",
			"/etc/apt/preferences", "/etc/apt/preferences.d/*",
		},
		Settings: []string{
			"/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings",
			"/etc/apt/auth.conf", "/etc/apt/auth.conf.d", "/etc/apt/apt.conf", "/etc/apt/apt.conf.d",
		},
		Own: []string{
			"/etc/apt/sources.list", "/etc/apt/sources.list.d/", "/var/lib/apt/", "/var/lib/dpkg/",
			"/etc/alternatives/", "/etc/rc?.d/", "*.dpkg-*", "*.ucf-*",
		},
		Rewrite: func(text string, r *Renaming) string { return r.Text(text) },
		Exact:   aptExact(),
	}
}

func readAptInventory(sec map[string]string, i *Inventory) {
	for _, l := range lines(sec["status"]) {
		if f := strings.Fields(l); len(f) == 3 && f[0][1] == 'i' { // ii, hi
			i.Installed[f[1]] = f[2]
			if name, _, ok := strings.Cut(f[1], ":"); ok && i.Installed[name] == "" {
				i.Installed[name] = f[2] // of the system's own architecture, which apt-mark leaves away
			}
		}
	}
	for _, l := range lines(sec["conf"]) {
		if f := strings.Fields(l); len(f) >= 2 && strings.HasPrefix(f[0], "/") {
			i.Defaults[f[0]] = "md5:" + f[1]
		}
	}
	for _, l := range lines(sec["ucf"]) {
		if f := strings.Fields(l); len(f) == 2 && strings.HasPrefix(f[1], "/") {
			i.Defaults[f[1]] = "md5:" + f[0]
		}
	}
	for _, l := range lines(sec["selections"]) {
		if f := strings.Fields(l); len(f) == 3 && f[1] == "manual" {
			i.Alternatives = append(i.Alternatives, [2]string{f[0], f[2]})
		}
	}
	for n, p := range i.Owned { // what was moved to /usr is listed as where it was
		for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
			if strings.HasPrefix(p, dir) {
				i.Owned[n] = "/usr" + p
			}
		}
	}
	i.Unknown = true
	for _, p := range readPolicy(sec["policy"]) {
		if p.fetched {
			i.Unknown = false
		} else if i.Installed[p.name] != "" {
			i.Local = append(i.Local, p.name)
		}
	}
	if i.Unknown {
		i.Local = nil
	}
	slices.Sort(i.Local)
}

// policy is what apt-cache policy says of one package.
type policy struct {
	name      string
	candidate bool // a version can be installed
	fetched   bool // a repository has the installed version, or a newer one
}

// readPolicy reads it: the version that is installed is marked, and below it are its sources.
func readPolicy(out string) []policy {
	var all []policy
	marked, installed := false, ""
	for _, l := range lines(out) {
		switch {
		case !strings.HasPrefix(l, " ") && strings.HasSuffix(l, ":"):
			all, marked = append(all, policy{name: strings.TrimSuffix(l, ":")}), false
		case len(all) == 0:
		case strings.HasPrefix(l, "  Installed: "):
			installed = strings.TrimPrefix(l, "  Installed: ")
		case strings.HasPrefix(l, "  Candidate: "):
			all[len(all)-1].candidate = !strings.HasSuffix(l, "(none)")
			all[len(all)-1].fetched = installed != strings.TrimPrefix(l, "  Candidate: ")
		case strings.HasPrefix(l, " *** "):
			marked = true
		case strings.HasPrefix(l, "     ") && !strings.HasPrefix(l, "        "):
			marked = false // another version
		case marked && strings.HasPrefix(l, "        "):
			if f := strings.Fields(l); len(f) > 1 && f[1] != "/var/lib/dpkg/status" {
				all[len(all)-1].fetched = true
			}
		}
	}
	return all
}
