package osupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
)

// Containerfile writes the client's changes to the running system, its layered packages,
// overrides and kernel arguments, as a Containerfile: the way from a layered host to an
// own image. m is the image's package manager. It has no here-documents, which podman
// before 5 cannot read.
func Containerfile(s *State, m Manager) (string, error) {
	d := s.Current()
	if d == nil {
		return "", fail.New(ErrNotFound, "there is no system to export").Hint("see what is there: tbx host status")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What the host of this machine is, as an image: tbx host build DIRECTORY\n")
	if d.Image != nil {
		fmt.Fprintf(&b, "FROM %s\n", oneLine(d.Image.Reference))
	} else {
		fmt.Fprintf(&b, "# The host follows the OSTree ref %s; put the image of the same system here.\nFROM %s\n", oneLine(d.Tracks),
			cmp.Or(m.base, "localhost/image-of-this-system"))
	}
	if c := d.Changes; c != nil {
		if add := sorted(c.Layered, c.Inactive); len(add) > 0 {
			fmt.Fprintf(&b, "%s%s%s\n", m.install, strings.Join(add, " "), m.end)
		}
		if remove := sorted(c.Removed); len(remove) > 0 {
			fmt.Fprintf(&b, "%s%s%s\n", m.remove, strings.Join(remove, " "), m.end)
		}
		if replace := sorted(c.Replaced); len(replace) > 0 {
			fmt.Fprintf(&b, "# Replaced in the base; a repository of the image must have them, or they must be copied in.\n%s%s%s\n", m.upgrade,
				strings.Join(replace, " "), m.end)
		}
		for _, l := range slices.Sorted(slices.Values(c.Local)) {
			fmt.Fprintf(&b, "# Installed from a local file, which must be copied in: %s\n", oneLine(l))
		}
		for _, f := range slices.Sorted(slices.Values(c.Files)) {
			fmt.Fprintf(&b, "# A file of this machine in its initramfs, which an image has none of: %s\n", oneLine(f))
		}
		if c.Initramfs {
			args := ""
			for _, a := range c.Dracut {
				args += " '" + strings.ReplaceAll(oneLine(a), "'", `'\''`) + "'"
			}
			fmt.Fprintf(&b, "RUN kver=$(ls /usr/lib/modules) && dracut --force --no-hostonly%s /usr/lib/modules/$kver/initramfs.img $kver\n", args)
		}
	}
	if own := ownKargs(d.Kargs); len(own) > 0 {
		quoted := make([]string, len(own))
		for i, k := range own {
			quoted[i] = fmt.Sprintf("%q", k)
		}
		toml := strings.ReplaceAll("kargs = ["+strings.Join(quoted, ", ")+"]", "'", `'\''`)
		fmt.Fprintf(&b, "RUN mkdir -p /usr/lib/bootc/kargs.d && printf '%%s\\n' '%s' > /usr/lib/bootc/kargs.d/50-tbx.toml\n", toml)
	}
	return b.String(), nil
}

// Manager has a package manager's commands to install, remove and upgrade packages in a
// line of a Containerfile.
type Manager struct {
	install, remove, upgrade, end string
	base                          string // an image to begin with, where the family has one for hosts
}

// ManagerOf returns the package manager of a distribution family, given ID and ID_LIKE of
// os-release(5).
func ManagerOf(ids ...string) (m Manager, ok bool) {
	for _, f := range []struct {
		ids []string
		m   Manager
	}{
		{[]string{"fedora", "rhel", "centos"}, Manager{"RUN dnf -y install ", "RUN dnf -y remove ", "RUN dnf -y upgrade ", " && dnf clean all",
			"quay.io/fedora/fedora-bootc:latest"}},
		{[]string{"opensuse", "suse"}, Manager{"RUN zypper --non-interactive install ", "RUN zypper --non-interactive remove ",
			"RUN zypper --non-interactive update ", " && zypper clean --all", ""}},
		{[]string{"debian", "ubuntu"}, Manager{
			"RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y install ", "RUN DEBIAN_FRONTEND=noninteractive apt-get -y purge ",
			"RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y install --only-upgrade ", " && rm -rf /var/lib/apt/lists/*", "",
		}},
		// pacman cannot install a package without upgrading the system.
		{[]string{"arch"}, Manager{"RUN pacman -Syu --noconfirm --needed ", "RUN pacman -Rns --noconfirm ", "RUN pacman -Syu --noconfirm ",
			" && rm -rf /var/cache/pacman/pkg/*", ""}},
	} {
		if slices.ContainsFunc(f.ids, func(id string) bool { return slices.Contains(ids, id) }) {
			return f.m, true
		}
	}
	return Manager{}, false
}

// manager returns the package manager of the running system, which is the image's.
// rpm-ostree's hosts are of Fedora's family, whatever their names.
func (h *Host) manager() (Manager, error) {
	p := probe{h.cfg.Root}
	ids := append(strings.Fields(p.osRelease("ID_LIKE")), p.osRelease("ID"))
	if h.be.Kind() == RPMOSTree {
		ids = append(ids, "fedora")
	}
	for i, id := range ids {
		ids[i], _, _ = strings.Cut(id, "-") // opensuse-tumbleweed
	}
	m, ok := ManagerOf(ids...)
	if !ok {
		return m, fail.New(ErrUnsupported, "tbx does not know the package manager of images like this system (%q in os-release)",
			p.osRelease("ID")).
			Hint("write the Containerfile yourself, and have it built: tbx host build DIRECTORY")
	}
	return m, nil
}

// Containerfile describes the running system as a Containerfile.
func (h *Host) Containerfile(ctx context.Context) (string, error) {
	st, err := h.Status(ctx)
	if err != nil {
		return "", err
	}
	m, err := h.manager()
	if c := st.State.Current(); err != nil && (c == nil || c.Changes.Any()) {
		return "", err
	}
	return Containerfile(st.State, m)
}

// FromImage reports whether the running system was made from an image, so that building
// another one can change it.
func (h *Host) FromImage(ctx context.Context) bool {
	if _, ok := h.be.(Builder); !ok {
		return false
	}
	st, err := h.Status(ctx) // root's, if bootc shows nothing to others
	return err == nil && st.State.Current() != nil && st.State.Current().Image != nil
}

// AddToContainerfile adds an installation of packages to the Containerfile in file, and
// returns the packages that were not in it. A new file starts from the host's present
// system.
func (h *Host) AddToContainerfile(ctx context.Context, file string, packages []string) (added []string, err error) {
	if !h.FromImage(ctx) {
		return nil, fail.New(ErrUnsupported, "the running system was not made from an image").
			Hint("install them in a toolbox: tbx enter")
	}
	m, err := h.manager()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		text, err := h.Containerfile(ctx)
		if err != nil {
			return nil, err
		}
		data = []byte(text)
	} else if err != nil {
		return nil, fail.Wrap(ErrPermission, err, "the Containerfile cannot be read").Hint("see who owns %s", file)
	}
	var has []string
	for line := range strings.Lines(string(data)) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), m.install); ok {
			has = append(has, strings.Fields(strings.TrimSuffix(list, m.end))...)
		}
	}
	for _, p := range sorted(packages) {
		if !slices.Contains(has, p) {
			added = append(added, p)
		}
	}
	if len(added) == 0 {
		return nil, nil
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	data = fmt.Appendf(data, "%s%s%s\n", m.install, strings.Join(added, " "), m.end)
	err = os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = atomicfile.Write(file, data, 0o644)
	}
	if err != nil {
		return nil, fail.Wrap(ErrPermission, err, "the Containerfile cannot be written").Hint("see who owns %s", filepath.Dir(file))
	}
	return added, nil
}

// RunningKargs returns the kernel arguments of the running system, as an administrator
// would have given them.
func RunningKargs(root string) []string {
	list := SplitKargs(probe{root}.read("proc/cmdline"))
	if end := slices.Index(list, "--"); end >= 0 { // what follows is for init
		list = list[:end]
	}
	return slices.DeleteFunc(list, func(k string) bool {
		name, _, _ := strings.Cut(k, "=")
		return slices.Contains([]string{"BOOT_IMAGE", "ostree", "composefs", "initrd"}, name) || strings.HasPrefix(k, "(ostree:")
	})
}

// SplitKargs splits a kernel command line at white space outside of double quotes, as the kernel does.
func SplitKargs(line string) []string {
	inside := false
	return strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			inside = !inside
		}
		return !inside && (r == ' ' || r == '\n' || r == '\t')
	})
}

// findsRoot are the names of the kernel arguments by which the root file system is found.
var findsRoot = []string{"root", "rootflags", "rootfstype", "rd.luks.uuid", "rd.luks.name", "rd.luks.options", "luks.uuid", "rd.lvm.lv",
	"rd.lvm.vg", "rd.md.uuid"}

// ownKargs leaves out what names this machine's disks.
func ownKargs(kargs []string) []string {
	disks := append([]string{"rw", "ro", "resume", "resume_offset", "boot", "BOOT_IMAGE", "ostree", "composefs", "initrd",
		"systemd.machine_id"},
		findsRoot...)
	return slices.DeleteFunc(slices.Clone(kargs), func(k string) bool {
		name, _, _ := strings.Cut(k, "=")
		return slices.Contains(disks, name) || strings.ContainsFunc(k, func(r rune) bool { return r < ' ' })
	})
}

// sorted joins lists of package names. It leaves out anything that is not one, so that
// nothing can become another instruction or command.
func sorted(lists ...[]string) []string {
	all := slices.DeleteFunc(slices.Concat(lists...), func(p string) bool {
		return !packageForm().MatchString(p) ||
			strings.ContainsAny(p, "()")
	})
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
