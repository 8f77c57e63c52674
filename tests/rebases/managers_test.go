//go:build rebases

package rebases_test

import (
	"os"
	"path/filepath"
	"testing"
)

// manager is a package manager that Debian has, in an image of Debian that calls itself a
// release of the distribution whose it is.
type manager struct {
	name     string
	packages string // of Debian's
	suite    string // in which they are; empty: the image's own
	id       string // of os-release
	setup    string // makes the packages of release $release in /repo, and a repository of them
	repos    string // sets the repository up
	install  string // before names
	local    string // installs the package local
	has      string // before a name: fails if it is not installed
	held     string // holds hello; or empty
}

// rpms makes packages by rpmbuild: hello has a configuration file, gone is of release 1 only,
// local is of no repository.
const rpms = `mkdir -p /repo /local /etc/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros # Debian's own is in the home
build() {
	printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: %s\nLicense: none\nBuildArch: noarch\n%%description\nT\n%%install\nmkdir -p %%{buildroot}/etc %%{buildroot}/usr/share\necho default %s >%%{buildroot}/etc/%s.conf\necho %s >%%{buildroot}/usr/share/%s-t\n%%files\n%%config(noreplace) /etc/%s.conf\n/usr/share/%s-t\n' $1 $2 $1 $4 $1 $2 $1 $1 $1 >/tmp/s.spec
	rpmbuild --quiet -bb --define '_topdir /tmp/rpm' /tmp/s.spec; mv /tmp/rpm/RPMS/noarch/*.rpm $3
}
build hello $release.0 /repo $release; build same $release.0 /repo same
if [ $release = 1 ]; then build gone 1.0 /repo 1; build local 1.0 /local 1; fi
createrepo_c -q /repo
rpm --initdb
`

var managers = []manager{
	{
		name: "dnf", packages: "dnf rpm createrepo-c", id: "rhel", setup: rpms,
		repos:   `mkdir -p /etc/yum.repos.d; printf '[t]\nname=t\nbaseurl=file:///repo\ngpgcheck=0\n' >/etc/yum.repos.d/t.repo`,
		install: "dnf -y install", local: "dnf -y install /local/local-*.rpm", has: "rpm -q",
	},
	{
		name: "dnf5", packages: "dnf5 rpm createrepo-c", suite: "forky", id: "fedora", setup: rpms,
		repos:   `mkdir -p /etc/yum.repos.d; printf '[t]\nname=t\nbaseurl=file:///repo\ngpgcheck=0\n' >/etc/yum.repos.d/t.repo`,
		install: "dnf5 -y install", local: "dnf5 -y install /local/local-*.rpm", has: "rpm -q",
	},
	{
		name: "zypper", packages: "zypper rpm createrepo-c", id: "opensuse", setup: rpms,
		repos:   `mkdir -p /etc/zypp/repos.d; printf '[t]\nname=t\nenabled=1\nbaseurl=dir:///repo\ngpgcheck=0\n' >/etc/zypp/repos.d/t.repo`,
		install: "zypper --non-interactive --no-gpg-checks install", local: "rpm -i /local/local-*.rpm", has: "rpm -q", held: "zypper --non-interactive addlock hello",
	},
	{
		name: "pacman", packages: "pacman-package-manager makepkg libarchive-tools", id: "arch",
		setup: `mkdir -p /repo /local /var/lib/pacman
build() {
	d=/tmp/p/$1; rm -rf $d; mkdir -p $d/etc $d/usr/share
	echo default $4 >$d/etc/$1.conf; echo $2 >$d/usr/share/$1-t
	printf 'pkgname = %s\npkgver = %s-1\npkgdesc = T\nsize = 1\narch = any\nbackup = etc/%s.conf\n' $1 $2 $1 >$d/.PKGINFO
	tar -C $d -czf $3/$1-$2-1-any.pkg.tar.gz .PKGINFO etc usr
}
build hello $release.0 /repo $release; build same $release.0 /repo same
if [ $release = 1 ]; then build gone 1.0 /repo 1; build local 1.0 /local 1; fi
cd /repo; repo-add -q t.db.tar.gz *.pkg.tar.gz`,
		repos:   `printf '[options]\nArchitecture = auto\nSigLevel = Never\nLocalFileSigLevel = Never\n[t]\nServer = file:///repo\n' >/etc/pacman.conf; pacman -Sy`,
		install: "pacman -S --noconfirm", local: "cp /local/local* /var/cache/pacman/pkg/; pacman -U --noconfirm /var/cache/pacman/pkg/local*", has: "pacman -Q",
	},
}

// TestManagers moves a used toolbox of each from release 1 to release 2.
func TestManagers(t *testing.T) {
	for _, m := range managers {
		t.Run(m.name, func(t *testing.T) { m.test(t) })
	}
}

func (m *manager) image(t *testing.T, release string) string {
	dir := t.TempDir()
	script := "set -e\nrelease=" + release + "\n" + m.setup + "\n" + m.repos + "\n"
	osRelease := "ID=" + m.id + "\nVERSION_ID=4" + release + "\nPRETTY_NAME=\"" + m.id + " 4" + release + "\"\n"
	suite := "true"
	if m.suite != "" {
		suite = "sed -i s/trixie/" + m.suite + "/ /etc/apt/sources.list && sed -i '/updates\\|security/d' /etc/apt/sources.list"
	}
	file := "FROM localhost/tbx/debian:13\nRUN " + suite + " && apt-get -qq -o Acquire::Check-Valid-Until=false update && apt-get -qq -y --no-install-recommends install " + m.packages + " >/dev/null\n" +
		"COPY setup /setup\nRUN sh /setup && rm /etc/os-release\nCOPY os-release /etc/os-release\n"
	for name, text := range map[string]string{"setup": script, "os-release": osRelease, "Containerfile": file} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tag := "localhost/" + prefix + m.name + ":" + release
	run(t, "", "podman", "build", "--quiet", "--network=host", "-t", tag, dir)
	return tag
}

func (m *manager) test(t *testing.T) {
	first, second := m.image(t, "1"), m.image(t, "2")
	name := toolbox(t, m.name, "--image", first)
	inside(t, name, m.install+" hello same gone\n"+m.local+"\n"+m.held+`
echo mine >>/etc/hello.conf; echo mine >>/etc/same.conf; echo mine >/etc/added.conf; mkdir -p /opt/x /etc/systemd/system; echo x >/opt/x/y
ln -s /dev/null /etc/systemd/system/masked.service
`)
	report := run(t, "", "tbx", "rebase", "--yes", "--image", second, name)
	t.Log(report)
	says(t, report, "Packages that the new release does not have", "gone", "file /etc/hello.conf", "from "+m.id+" 41 to "+m.id+" 42")
	inside(t, name, m.has+" hello\n"+m.has+` same
grep -qx 'default 2' /etc/hello.conf; grep -qx mine /etc/hello.conf.tbx-old
grep -qx 'default same' /etc/same.conf; grep -qx mine /etc/same.conf; test ! -e /etc/same.conf.tbx-old
grep -qx mine /etc/added.conf; grep -qx x /opt/x/y; test -L /etc/systemd/system/masked.service
grep -qx 2.0 /usr/share/hello-t
test ! -e /usr/share/gone-t
`)
	if m.name == "pacman" {
		inside(t, name, m.has+" local")
	}
	if m.held != "" {
		says(t, report, "Packages held (1): hello")
	}
}
