package packages

import "strings"

// rpmFiles lists what rpm knows of each file: its flags, digest and path, rpm-queryformat(7).
const rpmFiles = `echo @@installed; rpm --query --all --queryformat '%{NAME} %{EVR}\n'
echo @@files; rpm --query --all --queryformat '[%{FILEFLAGS:fflags}|%{FILEDIGESTS}|%{FILENAMES}\n]'
true`

// rpmOwn is rpm's database, and what it leaves beside configuration files.
var rpmOwn = []string{"/var/lib/rpm/", "/usr/lib/sysimage/", "*.rpmnew", "*.rpmsave", "*.rpmorig"}

// readRpmFiles reads that: c is a configuration file. Digests are SHA-256, those of older
// packages MD5.
func readRpmFiles(sec map[string]string, i *Inventory) {
	for _, l := range lines(sec["files"]) {
		f := strings.SplitN(l, "|", 3)
		if len(f) < 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		i.Owned = append(i.Owned, f[2])
		if !strings.Contains(f[0], "c") {
			continue
		}
		switch len(f[1]) {
		case 64:
			i.Defaults[f[2]] = "sha256:" + f[1]
		case 32:
			i.Defaults[f[2]] = "md5:" + f[1]
		}
	}
}

// dnfCarry is of both: what dnf5 calls lists of versions has another form and another place.
func dnfCarry(program string) *Carry {
	return &Carry{
		Inventory: `export LC_ALL=C.UTF-8
echo @@asked; ` + program + ` -q repoquery --userinstalled --qf '%{name}\n'
echo @@local; ` + program + ` -q repoquery --extras --qf '%{name}\n' 2>/dev/null
echo @@held; sed -n 's/^name = "\(.*\)"$/\1/p' /etc/dnf/versionlock.toml 2>/dev/null
` + rpmFiles,
		Read:         readRpmFiles,
		Available:    []string{program, "-q", "repoquery", "--available", "--qf", "%{name}\n"},
		Hold:         []string{program, "-y", "versionlock", "add"},
		AddFiles:     []string{program, "-y", "--setopt=localpkg_gpgcheck=0", "install"},
		Repositories: []string{"/etc/yum.repos.d/*.repo"},
		Settings:     []string{"/etc/pki/rpm-gpg", "/etc/dnf/dnf.conf", "/etc/dnf/vars", "/etc/dnf/plugins"},
		Own:          append([]string{"/etc/yum.repos.d/", "/etc/dnf/versionlock.toml", "/var/lib/dnf/"}, rpmOwn...),
		Rewrite:      func(text string, r *Renaming) string { return r.Text(text) },
		Exact:        dnfExact(program),
	}
}

func zypperCarry() *Carry {
	return &Carry{
		Inventory: `export LC_ALL=C.UTF-8
echo @@table; zypper --non-interactive --quiet packages --userinstalled
echo @@orphans; zypper --non-interactive --quiet packages --orphaned
echo @@held; sed -n 's/^solvable_name: //p' /etc/zypp/locks 2>/dev/null
` + rpmFiles,
		Read: func(sec map[string]string, i *Inventory) {
			i.Asked, i.Local = readZypperTable(sec["table"]), readZypperTable(sec["orphans"])
			readRpmFiles(sec, i)
		},
		Available: []string{"zypper", "--non-interactive", "--xmlout", "search", "--match-exact", "--type", "package", "--"},
		ReadNames: func(out string) []string {
			var names []string
			for _, p := range readSolvables(out) {
				names = append(names, p.Name)
			}
			return names
		},
		Hold:         []string{"zypper", "--non-interactive", "addlock", "--"},
		AddFiles:     []string{"zypper", "--non-interactive", "--no-gpg-checks", "install", "--allow-unsigned-rpm", "--"},
		Repositories: []string{"/etc/zypp/repos.d/*.repo"},
		Settings: []string{
			"/etc/pki/rpm-gpg", "/etc/zypp/zypp.conf", "/etc/zypp/zypper.conf", "/etc/zypp/credentials.d",
			"/etc/zypp/services.d", "/etc/zypp/vars.d",
		},
		Own:     append([]string{"/etc/zypp/repos.d/", "/etc/zypp/locks", "/var/lib/zypp/"}, rpmOwn...),
		Rewrite: func(text string, r *Renaming) string { return r.Text(text) },
		Exact:   zypperExact(),
	}
}
