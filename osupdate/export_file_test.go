package osupdate_test

import (
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

func TestContainerfile(t *testing.T) {
	dnf, ok := osupdate.ManagerOf("rhel")
	if !ok {
		t.Fatal("rhel has no package manager")
	}
	s := (&osupdate.State{Deployments: []osupdate.Deployment{{
		ID: "a", Booted: true, Image: &osupdate.Image{Reference: "quay.io/a/b:1"}, Kargs: []string{"root=UUID=1", "rw", "quiet", "console=ttyS0", `dyndbg="file it's.c +p"`},
		Changes: &osupdate.Changes{Layered: []string{"zsh", "vim"}, Inactive: []string{"bash"}, Removed: []string{"firefox", "x;reboot", "-y"}, Local: []string{"tool-1-1.x86_64", "x\nRUN evil"}, Replaced: []string{"kernel"}, Initramfs: true, Dracut: []string{"--add=tpm2-tss", "it's"}},
	}}}).Arrange()
	got, err := osupdate.Containerfile(s, dnf)
	if err != nil {
		t.Fatal(err)
	}
	want := `# What the host of this machine is, as an image: tbx host build DIRECTORY
FROM quay.io/a/b:1
RUN dnf -y install bash vim zsh && dnf clean all
RUN dnf -y remove firefox && dnf clean all
# Replaced in the base; a repository of the image must have them, or they must be copied in.
RUN dnf -y upgrade kernel && dnf clean all
# Installed from a local file, which must be copied in: tool-1-1.x86_64
# Installed from a local file, which must be copied in: xRUN evil
RUN kver=$(ls /usr/lib/modules) && dracut --force --no-hostonly '--add=tpm2-tss' 'it'\''s' /usr/lib/modules/$kver/initramfs.img $kver
RUN mkdir -p /usr/lib/bootc/kargs.d && printf '%s\n' 'kargs = ["quiet", "console=ttyS0", "dyndbg=\"file it'\''s.c +p\""]' > /usr/lib/bootc/kargs.d/50-tbx.toml
`
	if got != want {
		t.Errorf("%s", got)
	}
	plain, err := osupdate.Containerfile((&osupdate.State{Deployments: []osupdate.Deployment{{ID: "a", Tracks: "fedora:f/43"}}}).Arrange(), dnf)
	if err != nil || !strings.Contains(plain, "OSTree ref fedora:f/43") {
		t.Errorf("%s, %v", plain, err)
	}
	if _, err := osupdate.Containerfile(&osupdate.State{}, dnf); err == nil {
		t.Error("no system, and no error")
	}
}
