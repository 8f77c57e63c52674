//go:build rebases

// Package rebases_test rebases used toolboxes for real: Debian from one release to the next,
// with packages of the mirror's, and toolboxes of other package managers, as Debian has
// them, with repositories of the test's own. It takes a network and many minutes: make rebases.
package rebases_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const prefix = "rebases-"

func TestMain(m *testing.M) {
	bin, err := filepath.Abs("../../bin")
	if err == nil {
		err = os.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func run(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// inside runs a script as root of a toolbox.
func inside(t *testing.T, name, script string) string {
	t.Helper()
	return run(t, "set -e\n"+script, "tbx", "run", "--root", name, "--", "sh", "-s")
}

func toolbox(t *testing.T, name string, args ...string) string {
	t.Helper()
	name = prefix + name
	exec.Command("tbx", "rm", "--force", "--yes", name).Run() // of a run that was killed
	run(t, "", append(append([]string{"tbx", "--yes", "create"}, args...), name)...)
	t.Cleanup(func() { run(t, "", "tbx", "rm", "--force", "--yes", name) })
	return name
}

// says fails unless the report of a rebase has each text.
func says(t *testing.T, report string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(report, text) {
			t.Errorf("the report does not say %q:\n%s", text, report)
		}
	}
}

// TestDebian moves a used toolbox from Debian 12 to 13, and measures it beside apt, which
// installs the same packages in a new toolbox of 13.
func TestDebian(t *testing.T) {
	name := toolbox(t, "debian", "--distro", "debian", "--release", "12")
	inside(t, name, useDebian)
	plain := toolbox(t, "plain", "--distro", "debian", "--release", "13")
	inside(t, plain, makeLocal+"echo 'deb http://deb.debian.org/debian trixie-backports main' >/etc/apt/sources.list.d/backports.list")
	begin := time.Now()
	inside(t, plain, "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; apt-get -qq -y install "+asked+" >/dev/null; apt-get -qq -y install /var/tmp/local-t.deb >/dev/null")
	apt := time.Since(begin)
	says(t, run(t, "", "tbx", "rebase", "--dry-run", "--release", "13", name), "python3-distutils", "cowsay")
	begin = time.Now()
	report := run(t, "", "tbx", "--yes", "rebase", "--release", "13", name)
	took := time.Since(begin)
	t.Logf("apt %v, rebase %v: %.2f times\n%s", apt, took, took.Seconds()/apt.Seconds(), report)
	says(t, report,
		"Packages of no repository (1): local-t", "Packages held (1): tree", "Packages that the new release does not have (1): python3-distutils",
		"repository /etc/apt/sources.list.d/gone.list", "file /etc/login.defs", "directory /usr/lib/node_modules", "directory /var/lib/mydata")
	inside(t, name, checkDebian)
	run(t, "", "tbx", "snapshot", "rollback", name, "before-rebase")
	if out := run(t, "", "tbx", "run", name, "--", "sh", "-c", "cat /etc/os-release /usr/lib/node_modules/x/1"); !strings.Contains(out, `VERSION_ID="12"`) || !strings.HasSuffix(out, "1\n") {
		t.Error(out)
	}
}

// asked are packages of both releases.
const asked = "cowsay tree jq cron bsdextrautils hello ripgrep"

// makeLocal makes a package of no repository.
const makeLocal = `mkdir -p /srv/w/DEBIAN /srv/w/usr/bin /srv/w/etc
printf 'Package: local-t\nVersion: 1.0\nArchitecture: all\nDepends: jq\nMaintainer: t <t@example.org>\nDescription: Local\n' >/srv/w/DEBIAN/control
printf '/etc/local-t.conf\n' >/srv/w/DEBIAN/conffiles
echo default >/srv/w/etc/local-t.conf
printf '#!/bin/sh\necho local\n' >/srv/w/usr/bin/local-t; chmod 755 /srv/w/usr/bin/local-t
dpkg-deb -Zgzip --root-owner-group -b /srv/w /var/tmp/local-t.deb >/dev/null
`

const useDebian = `export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install ` + asked + ` python3-distutils >/dev/null
apt-mark hold tree
` + makeLocal + `dpkg -i /var/tmp/local-t.deb >/dev/null; rm -rf /srv/w /var/tmp/local-t.deb
echo changed >>/etc/local-t.conf
echo '# mine' >>/etc/bash.bashrc; echo 'UMASK 027' >>/etc/login.defs; echo 'alias x=y' >/etc/profile.d/mine.sh
mkdir -p /opt/app; echo app >/opt/app/f; echo tool >/usr/local/bin/mytool
useradd -r -m -d /var/lib/svc svc; useradd -m -d /home/ann ann; gpasswd -a ann audio
chown svc /opt/app/f; chmod 4755 /opt/app/f
mkdir -p /usr/lib/node_modules/x /var/lib/mydata; echo 1 >/usr/lib/node_modules/x/1; echo 1 >/var/lib/mydata/1
echo '5 4 * * * true' | crontab -u ann -
mkdir -p /etc/apt/keyrings; echo key >/etc/apt/keyrings/mine.asc
echo 'deb http://deb.debian.org/debian bookworm-backports main' >/etc/apt/sources.list.d/backports.list
echo 'deb [trusted=yes] http://nowhere.invalid/debian bookworm main' >/etc/apt/sources.list.d/gone.list
update-alternatives --set pager /bin/more
`

const checkDebian = `set -x
grep -q 'VERSION_ID="13"' /etc/os-release
for p in ` + asked + ` local-t; do dpkg-query -W -f '${Status}' $p | grep -q 'ok installed'; done
test "$(apt-mark showhold)" = tree
test -z "$(dpkg --audit)"
apt-get check
test "$(local-t)" = local
grep -q changed /etc/local-t.conf
grep -q trixie-backports /etc/apt/sources.list.d/backports.list
grep -qx key /etc/apt/keyrings/mine.asc
test ! -s /etc/apt/sources.list.d/gone.list
grep -q nowhere.invalid /etc/apt/sources.list.d/gone.list.tbx-off
grep -qx 'UMASK 027' /etc/login.defs.tbx-old || grep -qx 'UMASK 027' /etc/login.defs
grep -q '# mine' /etc/bash.bashrc*
grep -q alias /etc/profile.d/mine.sh
test "$(stat -c '%U %a' /opt/app/f)" = 'svc 4755'
grep -qx tool /usr/local/bin/mytool
id -nG ann | grep -qw audio
test "$(stat -c %U /home/ann)" = ann
crontab -u ann -l | grep -q '5 4'
test "$(readlink -f /etc/alternatives/pager)" = /usr/bin/more
test ! -e /usr/lib/node_modules
test ! -e /var/tmp/tbx-rebase
`
