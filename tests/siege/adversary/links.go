package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// targets are places that a link in the way leads to.
func targets(r *rand.Rand) string {
	box, _ := filepath.Glob("/run/tbx/box/*")
	return pick(r, append(box, "/run/tbx/box/"+config.Box, "/run/tbx/box", "/run/tbx/host", "/run/tbx", "/run", "/etc", "/usr/bin", "/", "/proc/1/root",
		"/proc/self/root", "/sys/fs/cgroup", "/dev/shm", "/run/host", config.Home+"/.ssh", config.Home, filepath.Dir(config.Home), "nowhere", "..", "."))
}

// linkTarget puts a link in the way of a share's target, to be met at the next start: what is mounted cannot be moved, what
// is above it can.
func linkTarget(r *rand.Rand) {
	share := pick(r, append(append([]string{}, config.Shares...), config.ReadOnly...))
	rel, err := filepath.Rel(config.Home, share)
	if err != nil || strings.HasPrefix(rel, "..") {
		return
	}
	parts := strings.Split(rel, "/")
	n := 1 + r.IntN(len(parts)) // how much of the way stays
	at := filepath.Join(config.Home, filepath.Join(parts[:n]...))
	aside := at + ".aside"
	os.RemoveAll(aside + ".old")
	os.Rename(aside, aside+".old")
	if err := os.Rename(at, aside); err != nil && !os.IsNotExist(err) {
		// It is a mount point: what is above can go.
		if n < 2 {
			return
		}
		n--
		at = filepath.Join(config.Home, filepath.Join(parts[:n]...))
		if os.Rename(at, at+config.Evil) != nil {
			return
		}
	}
	os.MkdirAll(filepath.Dir(at), 0o755)
	if r.IntN(4) == 0 {
		os.WriteFile(at, []byte(config.Evil), 0o644) // a file where a directory is wanted
		return
	}
	os.Symlink(targets(r), at)
}

// plan prepares what takes several steps: its own program in a share, and a link to where tbx keeps its own in the place
// of that share's target. Then it waits for the next start, and leaves things as they are.
func plan(r *rand.Rand) {
	boxes, _ := filepath.Glob("/run/tbx/box/*")
	for _, share := range config.Shares {
		copyTo(filepath.Join(share, "tbx-box"))
	}
	at := filepath.Join(config.Home, "siege")
	os.RemoveAll(at + ".old")
	if os.Rename(at, at+".old") != nil {
		return
	}
	os.MkdirAll(filepath.Join(at, "src"), 0o755)
	name := filepath.Join(at, pick(r, []string{"own", "src", "src/job"})) // one: a second would cover the first
	os.Remove(name)
	os.Symlink(pick(r, append(boxes, "/run/tbx/box/"+config.Box)), name)
	time.Sleep(10 * time.Second)
}

// leaveLink puts a link to a secret in the place of another toolbox's share, if it is this one's to change, and waits for
// the other's next start.
func leaveLink(r *rand.Rand) {
	outer := config.Shares[0]
	if real, err := filepath.EvalSymlinks(outer); err != nil || !slices.Contains(places(), real) {
		return
	}
	job := filepath.Join(outer, "job")
	os.RemoveAll(job + ".was")
	if os.Rename(job, job+".was") != nil {
		return
	}
	os.Symlink(pick(r, []string{config.Home + "/.ssh", config.Home + "/.ssh", config.Home}), job)
	time.Sleep(15 * time.Second)
}

// copyTo leaves a copy of this program.
func copyTo(path string) bool {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil || len(data) > 32<<20 {
		return false
	}
	tmp := path + ".part"
	if os.WriteFile(tmp, data, 0o755) != nil {
		return false
	}
	os.Chmod(tmp, 0o755)
	return os.Rename(tmp, path) == nil
}

// plants leaves this program where somebody may start it.
func plants(r *rand.Rand) {
	dirs := append([]string{config.Home, config.Home + "/bin", config.Home + "/.local/bin", "/usr/local/bin", "/usr/bin", "/run/tbx"}, config.Shares...)
	dirs = append(dirs, config.Shares...)
	dir := pick(r, dirs)
	if r.IntN(3) == 0 {
		dir = filepath.Join(dir, pick(r, []string{config.Box, "box", "host", "src", "job"}))
	}
	os.MkdirAll(dir, 0o755)
	name := pick(r, []string{"tbx-box", "tbx-box", "tbx-box", "tbx", "podman", "nsenter", "sh", "newuidmap", "xdg-open", "notify-send", "git"})
	if inside() || strings.HasPrefix(dir, config.Home) {
		copyTo(filepath.Join(dir, name))
	}
}

// moveTbx moves aside what tbx has mounted and makes its own in the place, which takes root.
func moveTbx(r *rand.Rand) {
	if os.Geteuid() != 0 {
		return
	}
	boxes, _ := filepath.Glob("/run/tbx/box/*")
	switch r.IntN(4) {
	case 0:
		if os.Rename("/run/tbx", "/run/tbx.old") == nil {
			for _, box := range append(boxes, "/run/tbx/box/"+config.Box) {
				os.MkdirAll(box, 0o755)
				copyTo(filepath.Join(box, "tbx-box"))
			}
		}
	case 1:
		if os.Rename("/run/tbx", "/run/tbx.aside") == nil {
			os.Symlink(pick(r, append(config.Shares, "/run/tbx.aside", config.Home)), "/run/tbx")
		}
	case 2:
		os.Remove("/run/tbx/state")
		os.Symlink(targets(r), "/run/tbx/state")
	case 3:
		os.Rename("/run", "/run.old")
		os.Symlink(pick(r, append(config.Shares, "/run.old")), "/run")
	}
}

// spoilImage changes files of the image that tbx or podman reads.
func spoilImage(r *rand.Rand) {
	if os.Geteuid() != 0 {
		return
	}
	path := pick(r, []string{"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/run/.toolboxenv", "/run/.containerenv", "/etc/localtime",
		"/etc/hostname", "/etc/profile.d", "/etc/machine-id", "/run/tbx/state/hosts-name", "/etc/shadow", "/etc/mtab", "/root"})
	os.RemoveAll(path + ".old")
	os.Rename(path, path+".old")
	os.MkdirAll(filepath.Dir(path), 0o755)
	switch r.IntN(6) {
	case 0:
		unix.Mkfifo(path, 0o666)
	case 1:
		os.Symlink(targets(r), path)
	case 2:
		os.WriteFile(path, []byte("root:x:0:0:\x1b]0;"+config.Evil+"\a:/root:/siege\n"+strings.Repeat("a:", 100000)), 0o644)
	case 3:
		os.Mkdir(path, 0o755)
	case 4: // as it was
		os.Rename(path+".old", path)
	case 5:
		if f, err := os.Create(path); err == nil {
			f.Truncate(1 << 40)
			f.Close()
		}
	}
}

// spoilHome leaves in the home what tbx might read from outside.
func spoilHome(r *rand.Rand) {
	at := filepath.Join(config.Home, pick(r, []string{".config", ".config/tbx", ".local", ".local/share/tbx", ".ssh", ".bashrc", ".profile", ".cache", ".local/state"}))
	os.RemoveAll(at)
	os.MkdirAll(filepath.Dir(at), 0o755)
	switch r.IntN(4) {
	case 0:
		os.Symlink(targets(r), at)
	case 1:
		unix.Mkfifo(at, 0o666)
	case 2:
		os.MkdirAll(at+"/toolboxes", 0o755)
		os.WriteFile(at+"/config.toml", []byte("# "+config.Evil+"\n"), 0o644)
	case 3:
		deep := at
		for range 300 {
			deep += "/d"
			if os.MkdirAll(deep, 0o700) != nil {
				break
			}
		}
		if os.Geteuid() == 0 {
			os.Chmod(at, 0)
		}
	}
}

// exchange swaps a directory of a share, or a share itself where another toolbox shows it, with a link that leads to a
// secret, as fast as it can.
func exchange(r *rand.Rand) {
	if len(config.Shares) == 0 {
		return
	}
	share := config.Shares[0] // the outer one
	job := filepath.Join(share, "job")
	link := filepath.Join(share, ".job-"+config.Evil)
	os.Remove(link)
	to := pick(r, []string{config.Home + "/.ssh", config.Home + "/.ssh", config.Home, "/", "/etc", config.Home + "/.local/share/tbx", "/run/user"})
	if os.Symlink(to, link) != nil {
		return
	}
	stay := r.IntN(3) == 0 // leave the link in the place, for a start that comes later
	for end := time.Now().Add(attemptTime / 2); time.Now().Before(end); {
		if unix.Renameat2(unix.AT_FDCWD, job, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) != nil {
			break
		}
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
	}
	fi, err := os.Lstat(job)
	isLink := err == nil && fi.Mode().Type() == fs.ModeSymlink
	if err == nil && isLink != stay {
		unix.Renameat2(unix.AT_FDCWD, job, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
	}
	if !stay {
		os.Remove(link)
	}
}

// shares changes what it may change, in ways that may hurt who looks at it from outside.
func shares(r *rand.Rand) {
	if len(config.Shares) == 0 {
		return
	}
	share := pick(r, config.Shares)
	name := filepath.Join(share, pick(r, []string{"report.pdf", "job", "a\nb", strings.Repeat("n", 255), "-rf", config.Evil}))
	if strings.HasSuffix(name, "/job") && r.IntN(3) > 0 {
		return // the other toolbox's share: not too often
	}
	os.RemoveAll(name)
	switch r.IntN(5) {
	case 0:
		os.Symlink(targets(r), name)
	case 1:
		unix.Mkfifo(name, 0o666)
	case 2:
		os.WriteFile(name, []byte("[Desktop Entry]\nType=Application\nExec=/bin/sh -c 'touch "+config.Home+"/"+config.Evil+"'\n"), 0o755)
	case 3:
		os.Mkdir(name, 0)
	case 4:
		if os.Geteuid() == 0 {
			os.WriteFile(name, nil, 0o666)
			os.Chown(name, 4321, 4321)
		}
	}
}

// setuid makes programs that would win rights if they could, and starts them.
func setuid(r *rand.Rand) {
	dir := pick(r, append([]string{"/tmp", config.Home}, config.Shares...))
	path := filepath.Join(dir, "siege") // by its name it reports to standard output
	if os.Geteuid() == 0 {
		if copyTo(path) {
			os.Chmod(path, 0o4755)
			// cap_sys_admin and cap_dac_read_search, permitted and effective.
			caps := []byte{1, 0, 0, 2, 4, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			unix.Setxattr(path, "security.capability", caps, 0)
		}
		return
	}
	for _, p := range []string{path, "/tmp/siege"} {
		cmd := exec.Command(p, "child", "nothing", "0")
		cmd.Stdout = os.Stdout
		cmd.Run()
	}
}
