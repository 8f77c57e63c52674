package boxinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Inside lists the places of container engines in the toolbox that must be the toolbox's
// own, although home, runtime directory and /dev are the host's.
type Inside struct {
	Data, Run     string   // directories on the host: kept with the toolbox, and emptied at each start
	DataFD, RunFD int      // open detached mounts of them; 0: none
	Places        []Place  // places of the toolbox's own
	Config        string   // place of the engines' settings, one of Places
	Shared        []string // names in it that are the host's, as seen here: registries, keys, logins
	Auth          string   // the host's logins to registries, as seen here
}

// Place is a directory of the toolbox's own among the host's.
type Place struct {
	Path  string // here
	From  string // below Data or Run
	Run   bool   // below Run
	Root  bool   // root's; else the user's
	Empty bool   // only if nothing is at Path: an image may bring something
	File  bool   // a file, only if the host has one: a used one is not replaced
}

// insideDir is where Data and Run appear.
const insideDir = "/run/tbx/inside"

// ownContainers gives the toolbox its own places for containers that are made in it.
// podman, buildah, docker and the like keep their store below the home, and locks,
// process numbers and sockets in the runtime directory; all of these belong to one user
// namespace, and would be the host's.
func (b *box) ownContainers() error {
	if len(b.cfg.Inside.Places) == 0 || b.root != "" {
		return nil
	}
	in := &b.cfg.Inside
	again, err := attached(insideDir + "/run")
	if err != nil {
		return err
	}
	failed := []error{b.putInside("data", in.Data, in.DataFD), b.putInside("run", in.Run, in.RunFD)}
	if !again { // else containers may be running in it
		failed = append(failed, removeContent(insideDir+"/run"))
	}
	for _, p := range in.Places {
		if err := b.placeInside(p); err != nil {
			failed = append(failed, fmt.Errorf("%s is the host's, and podman in the toolbox would change it: %w", p.Path, err))
		}
	}
	return errors.Join(append(failed, b.ownGraphRoot(), b.shareEngineSettings(), b.engineDefaults(), b.ensureSubIDs())...)
}

// ownGraphRoot hides the mark of the host's podman that tells a podman in a container
// that its store is mounted from outside: with it, after a restart, podman does not clear
// its records of earlier processes, because they would be the host's.
func (b *box) ownGraphRoot() error {
	const file, mark = "/run/.containerenv", "graphRootMounted=1"
	data, err := b.read(file)
	if err != nil || !strings.Contains(string(data), mark) {
		return nil // another engine, which sets no such mark
	}
	return b.overwrite(file, []byte(strings.ReplaceAll(string(data), mark, "")))
}

// putInside attaches one of the two directories below insideDir. If neither the mount nor
// the directory is possible, memory takes its place: containers made inside are lost at
// the next stop, but the host's stay out of reach.
func (b *box) putInside(name, dir string, fd int) error {
	at := insideDir + "/" + name
	if there, err := attached(at); err != nil || there {
		return err
	}
	dropRemoved(at)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if fd != 0 && unix.MoveMount(fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH) == nil {
		return nil
	}
	for _, from := range []string{HostView + dir, dir} {
		if dir != "" && unix.Mount(from, at, "", unix.MS_BIND, "") == nil {
			return nil
		}
	}
	if err := unix.Mount("tbx", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	if name == "data" {
		return errors.New("there is no place on the disk for images and containers that are made in the toolbox: they are lost when it stops")
	}
	return nil
}

// attached reports whether a directory is mounted at a path and still exists on the host.
func attached(at string) (bool, error) {
	mounted, err := isMountPoint(at)
	return mounted && !removed(at), err
}

// removed reports whether the mounted directory was removed at its source, for example by
// cleaning the runtime directory: nothing can be made in it, or mounted on it.
func removed(at string) bool {
	var st unix.Stat_t
	return unix.Stat(at, &st) == nil && st.Nlink == 0
}

// dropRemoved unmounts a removed directory.
func dropRemoved(at string) {
	if removed(at) {
		unix.Unmount(at, unix.MNT_DETACH) // a mount there would report why not
	}
}

func removeContent(dir string) error {
	entries, err := os.ReadDir(dir)
	failed := []error{err}
	for _, e := range entries {
		failed = append(failed, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(failed...)
}

// placeInside mounts a directory of the toolbox at its place.
func (b *box) placeInside(p Place) error {
	if p.Root && b.onVolume(p.Path) {
		return nil
	}
	base := insideDir + "/data/"
	if p.Run {
		base = insideDir + "/run/"
	}
	from := base + p.From
	if p.File {
		return b.coverFile(from, p.Path)
	}
	if err := b.makeOwned(from, p.Root); err != nil {
		return err
	}
	target := followLinks(p.Path)
	dropRemoved(target)
	if mounted, err := mountedFrom(target, from); err != nil || mounted {
		return err
	}
	if entries, err := os.ReadDir(target); p.Empty && err == nil && len(entries) > 0 {
		return nil
	}
	if p.Root {
		if err := b.own(filepath.Dir(target)); err != nil {
			return err
		}
	}
	if err := b.makeOwned(target, p.Root); err != nil {
		return err
	}
	return unix.Mount(from, target, "", unix.MS_BIND, "")
}

// coverFile puts an empty file of the toolbox over one of the host's, which a daemon
// inside would delete to make its own.
func (b *box) coverFile(from, target string) error {
	dropRemoved(target)
	fi, err := os.Lstat(target)
	if err != nil || fi.IsDir() || fi.Mode()&fs.ModeSymlink != 0 {
		return nil // the host's is not in use there
	}
	f, err := os.OpenFile(from, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if mounted, err := mountedFrom(target, from); err != nil || mounted {
		return err
	}
	return unix.Mount(from, target, "", unix.MS_BIND, "")
}

// makeOwned makes a directory and its parents, owned by the user or root. Existing ones
// stay as they are.
func (b *box) makeOwned(dir string, root bool) error {
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return errors.New("it is not a directory")
		}
		return nil
	}
	if err := b.makeOwned(filepath.Dir(dir), root); err != nil {
		return err
	}
	mode := os.FileMode(0o700)
	if root {
		mode = 0o755
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if root {
		return nil
	}
	return b.chown(dir)
}

// followLinks returns the target of p, which may be missing: people move the store to
// another disk by a link.
func followLinks(p string) string {
	for range 10 {
		to, err := os.Readlink(p)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(p), to)
		}
		p = filepath.Clean(to)
	}
	return p
}

// mountedFrom reports whether target is the directory from already.
func mountedFrom(target, from string) (bool, error) {
	there, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	own, err2 := os.Stat(from)
	if err := errors.Join(err, err2); err != nil {
		return false, err
	}
	return os.SameFile(there, own), nil
}

// shareEngineSettings links the host's settings that do not depend on the place: the
// registries, the trusted signers, and the user's logins.
func (b *box) shareEngineSettings() error {
	in := b.cfg.Inside
	if in.Config == "" {
		in.Shared = nil
	}
	var failed []error
	for _, to := range in.Shared {
		at := in.Config + "/" + path.Base(to)
		if fi, err := os.Lstat(at); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
			continue // the owner made one for the toolbox
		}
		os.Remove(at)
		if _, err := os.Stat(to); err == nil {
			failed = append(failed, os.Symlink(to, at))
		}
	}
	if in.Auth != "" && slices.ContainsFunc(in.Places, func(p Place) bool { return p.Run }) {
		at := insideDir + "/run/containers/auth.json"
		if _, err := os.Lstat(at); errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, b.makeOwned(filepath.Dir(at), false), os.Symlink(in.Auth, at), os.Lchown(at, b.cfg.User.UID, b.cfg.User.GID))
		}
	}
	return errors.Join(failed...)
}

// engineDefaults are settings that every engine of the containers project reads before
// the user's. Locks are in files, because those in /dev/shm are the host podman's, under
// the same name. The toolbox's cgroup and files are used instead of the host's services,
// so that stopping the toolbox ends everything, and the host is not asked to run health
// checks of unknown containers.
const engineDefaults = `# Written by tbx at every start: containers in a toolbox are the toolbox's own.
[containers]
log_driver = "k8s-file"
[engine]
lock_type = "file"
cgroup_manager = "cgroupfs"
events_logger = "file"
env = ["DISABLE_HC_SYSTEMD=true"]
`

func (b *box) engineDefaults() error {
	err := b.put(File{Path: "/etc/containers/containers.conf.d/tbx.conf", Content: engineDefaults, Mode: 0o644})
	storage := b.cfg.Inside.Config + "/storage.conf"
	if _, serr := os.Lstat(storage); b.cfg.Inside.Config == "" || serr == nil || onOverlay(insideDir+"/data") {
		return err
	}
	// podman 4.3 without any uses vfs, which copies whole images.
	return errors.Join(err, os.WriteFile(storage, []byte("[storage]\ndriver = \"overlay\"\n"), 0o644), b.chown(storage))
}

func onOverlay(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) != nil || st.Type == unix.OVERLAYFS_SUPER_MAGIC
}

// ensureSubIDs gives the user ids for containers: all ids of the toolbox's own map except
// root's and the user's. The image's entries are for another map, unless they fit.
func (b *box) ensureSubIDs() error {
	var failed []error
	for _, t := range []struct {
		file, ids string
		own       int
	}{{"/etc/subuid", "/proc/self/uid_map", b.cfg.User.UID}, {"/etc/subgid", "/proc/self/gid_map", b.cfg.User.GID}} {
		data, err := os.ReadFile(t.ids)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		free := freeIDs(parseIDMap(string(data)), t.own)
		failed = append(failed, b.editTable(t.file, 0o644, func(lines []string) []string {
			return subIDs(lines, b.cfg.User, free)
		}))
	}
	return errors.Join(failed...)
}

// idRange is the ids from First on, Count of them.
type idRange struct{ First, Count int }

// parseIDMap parses the map of ids here, user_namespaces(7).
func parseIDMap(text string) []idRange {
	var out []idRange
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.Atoi(f[0])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil {
			out = append(out, idRange{first, count})
		}
	}
	slices.SortFunc(out, func(a, b idRange) int { return a.First - b.First })
	return out
}

// freeIDs returns ids without root and own, with adjacent ranges joined.
func freeIDs(ids []idRange, own int) []idRange {
	var out []idRange
	add := func(first, end int) {
		switch {
		case end <= first:
		case len(out) > 0 && out[len(out)-1].First+out[len(out)-1].Count == first:
			out[len(out)-1].Count += end - first
		default:
			out = append(out, idRange{first, end - first})
		}
	}
	for _, r := range ids {
		first, end := max(r.First, 1), r.First+r.Count
		if own >= first && own < end {
			add(first, own)
			first = own + 1
		}
		add(first, end)
	}
	return out
}

// subIDs puts the user's ranges into the lines of subuid(5), replacing those that are not
// within free.
func subIDs(lines []string, u User, free []idRange) []string {
	var out []string
	fits := false
	for _, l := range lines {
		f := strings.Split(l, ":")
		if len(f) != 3 || f[0] != u.Name && f[0] != strconv.Itoa(u.UID) {
			out = append(out, l)
			continue
		}
		first, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil && slices.ContainsFunc(free, func(r idRange) bool {
			return first >= r.First && first+count <= r.First+r.Count
		}) {
			fits = true
			out = append(out, l)
		}
	}
	if fits {
		return out
	}
	for _, r := range free {
		out = append(out, fmt.Sprintf("%s:%d:%d", u.Name, r.First, r.Count))
	}
	return out
}
