package toolbox

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tbx-project/tbx/internal/envset"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/xdg"
)

// Host is what a plan needs to know about the machine and its user. LookAtHost gathers
// everything once, so that planning is a pure function.
type Host struct {
	UID, GID   int
	User       string // login name
	Gecos      string
	Group      string // name of the primary group
	Home       string // as in the environment
	RealHome   string // Home with links resolved
	Shell      string // login shell
	Hostname   string
	RuntimeDir string // the user's runtime directory
	HasRuntime bool   // RuntimeDir is the host's own; otherwise tbx made it for itself
	Env        []string
	Dirs       xdg.Dirs
	Systemd    bool     // the user's service manager can put processes into a cgroup
	HomeLink   string   // where /home points, if it is a link
	CDI        []string // CDI kinds that the host describes, such as nvidia.com/gpu
	Exists     func(path string) bool
	Limits     func(controller string) bool // whether the user's containers can be limited by it, cgroups(7)

	// For isolated toolboxes only.
	RAM         func() int64    // the machine's memory in bytes
	Nofile      func() int64    // limit of open files for a process of the user
	RenderNodes func() []string // devices of GPUs

	LastCapability func() int // the highest number of a capability that the kernel knows
}

// LookAtHost gathers a Host for the current user.
func LookAtHost(env []string) (*Host, error) {
	getenv := func(name string) string { return lookup(env, name) }
	h := &Host{UID: os.Getuid(), GID: os.Getgid(), Env: env, Exists: exists}
	h.readAccount()
	if v := getenv("HOME"); filepath.IsAbs(v) {
		h.Home = filepath.Clean(v)
	}
	if h.Home == "" {
		return nil, fmt.Errorf("user %d has no home directory: neither HOME nor the user database names one", h.UID)
	}
	h.RealHome = h.Home
	if real, err := filepath.EvalSymlinks(h.Home); err == nil {
		h.RealHome = real
	}
	if v := getenv("SHELL"); filepath.IsAbs(v) {
		h.Shell = v
	}
	var err error
	if h.Hostname, err = os.Hostname(); err != nil {
		return nil, err
	}
	if h.RuntimeDir, err = xdg.RuntimeBase(h.UID, getenv); err != nil {
		return nil, err
	}
	h.HasRuntime = !xdg.OwnRuntime(h.RuntimeDir)
	h.Dirs = xdg.Home(h.Home, getenv)
	h.Systemd = exists(filepath.Join(h.RuntimeDir, "systemd/private"))
	if to, err := os.Readlink("/home"); err == nil {
		h.HomeLink = to
	}
	h.Limits, h.RAM, h.Nofile, h.RenderNodes, h.LastCapability = h.delegated, ram, nofile, renderNodes, lastCapability
	h.CDI = cdiKinds("/etc/cdi", "/var/run/cdi")
	return h, nil
}

// checkHome refuses a home that cannot also be the home in a toolbox: it is mounted at
// the same path, and appears in passwd(5) and in PATH.
func checkHome(dir string) error {
	var why string
	switch {
	case strings.ContainsRune(dir, ':'):
		why = "it has a colon, which passwd(5) does not allow"
	case strings.ContainsFunc(dir, unicode.IsControl):
		why = "it has a control character"
	case slices.Contains([]string{"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/run", "/sbin",
		"/sys", "/tmp", "/usr", "/var"}, dir):
		why = "shared with a toolbox, it would hide the toolbox's own directory"
	default:
		return nil
	}
	return fail.New(fail.Unable, "the directory %s cannot be your home in a toolbox: %s", escape.Quote(dir), why).
		Hint("set HOME to another directory of yours")
}

// delegated reports whether systemd has given the user a cgroup controller. Without it,
// podman 4.3 cannot make a container with that limit.
func (h *Host) delegated(controller string) bool {
	uid := strconv.Itoa(h.UID)
	data, err := os.ReadFile("/sys/fs/cgroup/user.slice/user-" + uid + ".slice/user@" + uid + ".service/cgroup.controllers")
	return err == nil && h.Systemd && slices.Contains(strings.Fields(string(data)), controller)
}

// TbxRuntime is the directory for files that must not outlive the boot.
func (h *Host) TbxRuntime() string { return filepath.Join(h.RuntimeDir, "tbx") }

// readAccount reads the user's entry in passwd(5) and, for users of directories such as
// LDAP, the environment. A static program cannot ask NSS; getent(1) is called only if the
// files do not have the user.
func (h *Host) readAccount() {
	uid := strconv.Itoa(h.UID)
	entry := entryOf("/etc/passwd", 2, uid)
	if entry == nil {
		entry = getent("passwd", uid)
	}
	if len(entry) > 6 {
		h.User, h.Gecos, h.Home, h.Shell = entry[0], entry[4], entry[5], entry[6]
	} else if h.User = lookup(h.Env, "USER"); h.User == "" {
		h.User = "user" + uid
	}
	if group := entryOf("/etc/group", 2, strconv.Itoa(h.GID)); group != nil {
		h.Group = group[0]
	} else if group := getent("group", strconv.Itoa(h.GID)); group != nil {
		h.Group = group[0]
	} else {
		h.Group = h.User
	}
}

// entryOf returns the fields of the line in a colon-separated file whose field is value.
func entryOf(file string, field int, value string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	return findEntry(f, field, value)
}

func findEntry(r io.Reader, field int, value string) []string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if f := strings.Split(lines.Text(), ":"); len(f) > field && f[field] == value {
			return f
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lookup returns the value of the last NAME=value in env.
func lookup(env []string, name string) string { return envset.Get(env, name) }
