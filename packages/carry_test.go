package packages

import "testing"

// E163: a release is renamed where it is meant, and nowhere else.
func TestE163_Renaming(t *testing.T) {
	r := &Renaming{"bookworm", "trixie", "12", "13"}
	for was, is := range map[string]string{
		"deb http://deb.debian.org/debian bookworm main":                           "deb http://deb.debian.org/debian trixie main",
		"deb http://security.debian.org bookworm-security main":                    "deb http://security.debian.org trixie-security main",
		"Suites: bookworm bookworm-updates bookworm/x":                             "Suites: trixie trixie-updates trixie/x",
		"deb https://packages.microsoft.com/debian/12/prod bookworm main":          "deb https://packages.microsoft.com/debian/13/prod trixie main",
		"deb https://download.example.org/Debian_12/ /":                            "deb https://download.example.org/Debian_13/ /",
		"deb https://apt.example.org:12/v1.12/debian12/ stable main":               "deb https://apt.example.org:12/v1.12/debian13/ stable main",
		"# bookworm\ndeb https://x.example.org/bookwormy stable main\n":            "# bookworm\ndeb https://x.example.org/bookwormy stable main\n",
		"deb [arch=amd64 signed-by=/etc/apt/keyrings/12.gpg] https://e.org/12 s m": "deb [arch=amd64 signed-by=/etc/apt/keyrings/12.gpg] https://e.org/13 s m",
	} {
		if got := r.Text(was); got != is {
			t.Errorf("%s\n got %s\nwant %s", was, got, is)
		}
	}
	alpine := RenamingOf(map[string]string{"ID": "alpine", "VERSION_ID": "3.19.1"}, map[string]string{"ID": "alpine", "VERSION_ID": "3.20.3"})
	if got := alpine.Text("https://dl-cdn.alpinelinux.org/alpine/v3.19/main"); got != "https://dl-cdn.alpinelinux.org/alpine/v3.20/main" {
		t.Error(got)
	}
	fedora := RenamingOf(map[string]string{"ID": "fedora", "VERSION_ID": "41"}, map[string]string{"ID": "fedora", "VERSION_ID": "42"})
	if got := fedora.Text("baseurl=https://e.org/fedora/41/$basearch/f41/"); got != "baseurl=https://e.org/fedora/42/$basearch/f42/" {
		t.Error(got)
	}
	if rolls := (&Renaming{}); rolls.Text("deb https://e.org/12 s m") != "deb https://e.org/12 s m" {
		t.Error("nothing is renamed to nothing")
	}
}

const policySaid = `local-t:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
repo-t:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 500
        500 file:/srv/repo ./ Packages
        100 /var/lib/dpkg/status
old-t:
  Installed: 1.0
  Candidate: 2.0
  Version table:
     2.0 500
        500 file:/srv/repo ./ Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
own-t:
  Installed: 3.0
  Candidate: 3.0
  Version table:
 *** 3.0 100
        100 /var/lib/dpkg/status
     2.0 500
        500 file:/srv/repo ./ Packages
virtual-t:
  Installed: (none)
  Candidate: (none)
  Version table:
`

func TestReadPolicy(t *testing.T) {
	same(t, "policy", readPolicy(policySaid), []policy{
		{"local-t", true, false}, {"repo-t", true, true}, {"old-t", true, true}, {"own-t", true, false}, {"virtual-t", false, false},
	})
	s := &System{Manager: apt()}
	i := s.readInventory("@@asked\nlocal-t\nrepo-t\n--bad\n@@status\nii  local-t 1.0\nii  repo-t:amd64 1.0\nrc  gone-t 1\nhi  own-t 3.0\n@@policy\n" + policySaid +
		"@@conf\n\n /etc/a.conf 0123 \n /etc/b.conf 4567 obsolete\n@@ucf\n89ab  /etc/ucf.conf\n@@selections\neditor manual /usr/bin/vi\npager auto /usr/bin/less\n@@owned\n/.\n/bin/x\n/usr/bin/y\n")
	same(t, "asked", i.Asked, []string{"local-t", "repo-t"})
	same(t, "local", i.Local, []string{"local-t", "own-t"})
	same(t, "installed", i.Installed, map[string]string{"local-t": "1.0", "repo-t": "1.0", "repo-t:amd64": "1.0", "own-t": "3.0"})
	same(t, "defaults", i.Defaults, map[string]string{"/etc/a.conf": "md5:0123", "/etc/b.conf": "md5:4567", "/etc/ucf.conf": "md5:89ab"})
	same(t, "alternatives", i.Alternatives, [][2]string{{"editor", "/usr/bin/vi"}})
	same(t, "owned", i.Owned, []string{"/.", "/usr/bin/x", "/usr/bin/y"})
	if none := s.readInventory("@@asked\na\n@@status\nii  a 1\n@@policy\na:\n  Installed: 1\n  Candidate: 1\n  Version table:\n *** 1 100\n        100 /var/lib/dpkg/status\n"); !none.Unknown || none.Local != nil {
		t.Errorf("without indexes: %+v", none)
	}
}

func TestReadApkInventory(t *testing.T) {
	s := &System{Manager: apk()}
	i := s.readInventory("@@world\nalpine-base\ncurl=8.5.0-r0\nedgy@edge\nlocal><Q1abc=\n.build-deps=20240101\n!bad\n@@db\nC:Q1x\nP:alpine-base\nV:3.19.1-r0\nF:etc\nR:motd\nZ:Q1qvTGHdzF6KLavt4PO0gs2a6pQ00=\nF:\nR:x\n\nP:curl\nV:8.5.0-r0\n")
	same(t, "asked", i.Asked, []string{"alpine-base", "curl", "edgy", "local"})
	same(t, "held", i.Held, []string{"curl"})
	same(t, "local", i.Local, []string{"local"})
	same(t, "installed", i.Installed, map[string]string{"alpine-base": "3.19.1-r0", "curl": "8.5.0-r0"})
	same(t, "defaults", i.Defaults, map[string]string{"/etc/motd": "sha1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"})
	same(t, "owned", i.Owned, []string{"/etc/motd", "/x"})
}

func TestReadOtherInventories(t *testing.T) {
	const files = "@@installed\nhello 1.0-1\n@@files\nc|" + sum64 + "|/etc/hello.conf\n||/usr/bin/hello\n"
	i := (&System{Manager: dnf5()}).readInventory("@@asked\nhello\n@@local\nmine\n@@held\nhello\n" + files)
	same(t, "rpm", i.Defaults, map[string]string{"/etc/hello.conf": "sha256:" + sum64})
	same(t, "rpm", i.Owned, []string{"/etc/hello.conf", "/usr/bin/hello"})
	same(t, "dnf5", [][]string{i.Asked, i.Local, i.Held}, [][]string{{"hello"}, {"mine"}, {"hello"}})
	i = (&System{Manager: zypper()}).readInventory("@@table\n" + said(t, "zypper-manual") + "\n@@held\nhello\n" + files)
	same(t, "zypper", i.Asked, []string{"dep", "hello"})
	i = (&System{Manager: pacman()}).readInventory("@@asked\nhello\nmine\n@@local\nmine\n@@installed\nhello 1-1\n@@files\n%FILES%\netc/\n\n%BACKUP%\netc/hello.conf\t0123\n\n%FILES%\nusr/\tx\n")
	same(t, "pacman", i.Defaults, map[string]string{"/etc/hello.conf": "md5:0123"})
	i = (&System{Manager: xbps()}).readInventory("@@manual\nhello-1.0_1\n@@list\nii hello-1.0_1   Says hello\n@@hold\nhello-1.0_1\n@@files\nhello-1.0_1: /usr/bin/hello (regular file)\n")
	same(t, "xbps", [][]string{i.Asked, i.Held, i.Owned}, [][]string{{"hello"}, {"hello"}, {"/usr/bin/hello"}})
}

const sum64 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
