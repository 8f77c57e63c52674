package osupdate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Containerfile writes what the client changed on the running system, its
// layered packages, overrides and kernel arguments, as a Containerfile: the way
// from a layered host to an image of one's own.
func Containerfile(s *State) (string, error) {
	d := s.Current()
	if d == nil {
		return "", fail.New(ErrNotFound, "there is no system to export")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What the host of this machine is, as an image: tbx host build DIRECTORY\n")
	if d.Image != nil {
		fmt.Fprintf(&b, "FROM %s\n", d.Image.Reference)
	} else {
		fmt.Fprintf(&b, "# The host follows the OSTree ref %s; put the image of the same system here.\nFROM quay.io/fedora/fedora-bootc:latest\n", oneLine(d.Tracks))
	}
	if c := d.Changes; c != nil {
		if add := sorted(c.Layered, c.Inactive); len(add) > 0 {
			fmt.Fprintf(&b, "RUN dnf -y install %s && dnf clean all\n", strings.Join(add, " "))
		}
		if len(c.Removed) > 0 {
			fmt.Fprintf(&b, "RUN dnf -y remove %s && dnf clean all\n", strings.Join(sorted(c.Removed), " "))
		}
		if len(c.Replaced) > 0 {
			fmt.Fprintf(&b, "RUN dnf -y upgrade %s && dnf clean all\n", strings.Join(sorted(c.Replaced), " "))
		}
		for _, l := range sorted(c.Local) {
			fmt.Fprintf(&b, "# Installed from a local file, which must be copied in: %s\n", oneLine(l))
		}
		if c.Initramfs {
			b.WriteString("RUN kver=$(ls /usr/lib/modules) && dracut --force --no-hostonly /usr/lib/modules/$kver/initramfs.img $kver\n")
		}
	}
	if own := ownKargs(d.Kargs); len(own) > 0 {
		quoted := make([]string, len(own))
		for i, k := range own {
			quoted[i] = fmt.Sprintf("%q", k)
		}
		fmt.Fprintf(&b, "RUN mkdir -p /usr/lib/bootc/kargs.d && cat > /usr/lib/bootc/kargs.d/50-tbx.toml <<'EOF'\nkargs = [%s]\nEOF\n", strings.Join(quoted, ", "))
	}
	return b.String(), nil
}

// ownKargs leaves out what names this machine's disks.
func ownKargs(kargs []string) []string {
	return slices.DeleteFunc(slices.Clone(kargs), func(k string) bool {
		name, _, _ := strings.Cut(k, "=")
		return slices.Contains([]string{"root", "rootflags", "rw", "ro", "resume", "boot", "BOOT_IMAGE", "ostree", "composefs", "rd.luks.uuid", "rd.lvm.lv", "rd.md.uuid"}, name)
	})
}

// sorted joins lists of package names; what is none is left out, so that nothing
// can become another instruction or command.
func sorted(lists ...[]string) []string {
	all := slices.DeleteFunc(slices.Concat(lists...), func(p string) bool { return !packageForm.MatchString(p) || strings.ContainsAny(p, "()") })
	slices.Sort(all)
	return slices.Compact(all)
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, s)
}
