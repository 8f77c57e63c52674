//go:build system

package day

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

const (
	image = "localhost/day-debian:1"
	box   = "day-of-tests"
)

// variables that every place has alike.
func variables() []string {
	vars := []string{"LANG=C.UTF-8", "TERM=xterm"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v := os.Getenv(name); v != "" {
			vars = append(vars, name+"="+v)
		}
	}
	return vars
}

// plainRoot unpacks the image into a directory and gives it this user, who may sudo.
// Each job has a pid namespace there, so that nothing outlives it; the network is the
// machine's, as it is a toolbox's.
func plainRoot(t *testing.T) place {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(os.Getenv("TBX_DISK"), "tbx-day-"+me.Username)
	must(t, "sudo", "rm", "-rf", root)
	t.Cleanup(func() { must(t, "sudo", "rm", "-rf", root) })
	setup := fmt.Sprintf(`set -e
mkdir -p %[1]s; tar -C %[1]s -xf %[2]s
cp -L /etc/resolv.conf /etc/hosts /etc/hostname %[1]s/etc/
groupadd -R %[1]s -g %[4]s %[3]s; useradd -R %[1]s -m -s /bin/bash -u %[5]s -g %[4]s -G sudo %[3]s
echo '%[3]s ALL=(ALL) NOPASSWD: ALL' >%[1]s/etc/sudoers.d/day; chmod 440 %[1]s/etc/sudoers.d/day
printf '#!/bin/sh\nexit 101\n' >%[1]s/usr/sbin/policy-rc.d; chmod 755 %[1]s/usr/sbin/policy-rc.d`, root, imageTar(), me.Username, me.Gid, me.Uid)
	must(t, "sudo", "bash", "-c", setup)
	env := append([]string{"env", "-i", "HOME=/home/" + me.Username, "USER=" + me.Username, "LOGNAME=" + me.Username, "SHELL=/bin/bash",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games"}, variables()...)
	// The terminal is sudo's, and root's: programs that open it by its name could not. login(1) gives it away too.
	enter := fmt.Sprintf(`if [ -t 0 ]; then chown %[2]s "$(tty)"; fi
mount -t proc proc %[1]s/proc; mount --rbind /sys %[1]s/sys; mount --rbind /dev %[1]s/dev
mount -t tmpfs -o mode=755 run %[1]s/run; mkdir -m 1777 %[1]s/run/lock
exec chroot %[1]s setpriv --reuid=%[2]s --regid=%[3]s --init-groups "$@"`, root, me.Uid, me.Gid)
	argv := append([]string{"sudo", "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", enter, "plain"}, env...)
	return place{name: "plain Debian", argv: func(script string) []string {
		return append(append([]string{}, argv...), "bash", "-c", script)
	}}
}

// importImage gives podman the image that the plain root is made of.
func importImage(t *testing.T) {
	t.Helper()
	if exec.Command("podman", "image", "exists", image).Run() != nil {
		must(t, "podman", "import", "--quiet", "--change", "LABEL=com.github.containers.toolbox=true", "--change", "CMD /bin/bash", imageTar(), image)
	}
}

// toolbox makes a toolbox of tbx's.
func toolbox(t *testing.T) place {
	t.Helper()
	importImage(t)
	tbx := filepath.Join(os.Getenv("TBX_BIN"), "tbx")
	exec.Command(tbx, "rm", "--force", "--yes", box).Run() // what a run that was ended left
	must(t, tbx, "create", "--image", image, box)
	t.Cleanup(func() { must(t, tbx, "rm", "--force", box) })
	argv := append(append([]string{"env"}, variables()...), tbx, "run", "--toolbox", box, "--", "bash", "-c")
	return place{name: "tbx", argv: func(script string) []string { return append(append([]string{}, argv...), script) }}
}

// toolbx makes a toolbox of Toolbx's, where it is installed and works.
func toolbx(t *testing.T) (place, bool) {
	t.Helper()
	if _, err := exec.LookPath("toolbox"); err != nil {
		return place{}, false
	}
	name := box + "-peer"
	exec.Command("podman", "rm", "--force", name).Run()
	if out, err := exec.Command("toolbox", "--assumeyes", "create", "--image", image, name).CombinedOutput(); err != nil {
		t.Logf("Toolbx makes no toolbox here: %s", strings.TrimSpace(string(out)))
		return place{}, false
	}
	t.Cleanup(func() { must(t, "podman", "rm", "--force", name) })
	argv := append(append([]string{"env"}, variables()...), "toolbox", "run", "--container", name, "bash", "-c")
	return place{name: "Toolbx", terminal: true, argv: func(script string) []string { return append(append([]string{}, argv...), script) }}, true
}
