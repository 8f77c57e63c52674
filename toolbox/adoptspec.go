package toolbox

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Taken is a setting that an adopted toolbox takes over.
type Taken struct {
	Setting string `json:"setting"` // as in the specification, or what it is
	Value   string `json:"value"`
	Note    string `json:"note,omitempty"`
}

// Lost is a part that cannot come along, with a remedy.
type Lost struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// takeover makes a toolbox's options from another maker's container.
type takeover struct {
	h     *Host
	b     *Box
	args  map[string]string // distrobox's; nil: Toolbx's
	o     CreateOptions
	taken []Taken
	lost  []Lost
}

func takeOver(h *Host, b *Box, imageEnv []string) *takeover {
	t := &takeover{h: h, b: b}
	if b.Maker() != Toolbx {
		t.args = distroboxArgs(b.Command)
	}
	t.home()
	t.hostname()
	t.volumes()
	t.env(imageEnv)
	t.limits()
	t.way()
	return t
}

func (t *takeover) take(setting, value, note string) {
	t.taken = append(t.taken, Taken{setting, value, note})
}
func (t *takeover) lose(what, why string) { t.lost = append(t.lost, Lost{what, why}) }

// ownHome returns the directory that distrobox uses as the home instead of the user's, or
// "".
func (t *takeover) ownHome() string {
	env := ""
	for _, kv := range t.b.Env {
		if v, ok := strings.CutPrefix(kv, "HOME="); ok {
			env = v
		}
	}
	for _, home := range []string{t.args["home"], env} {
		if home = filepath.Clean(home); t.args != nil && filepath.IsAbs(home) && home != t.h.Home && home != t.h.RealHome && home != "/root" {
			return home
		}
	}
	return ""
}

// home takes over the toolbox's own home: tbx shows it at the user's home. Programs have
// noted its old path too, so it stays there as well.
func (t *takeover) home() {
	home := t.ownHome()
	if home == "" {
		t.take("home", "yours", "")
		return
	}
	t.o.Home = home
	t.take("home", home, "it is "+t.h.Home+" inside, and stays at its old path too")
	t.volume(home+":"+home, "")
	t.lose("your own home inside", t.h.Home+" is the toolbox's own home inside; yours is in /run/host"+t.h.Home)
}

// hostname takes over a name that somebody chose. Toolbx's is always the same;
// distrobox's is the host's, or made of the container's and the host's.
func (t *takeover) hostname() {
	name := t.b.Asked.Hostname
	short, _, _ := strings.Cut(t.h.Hostname, ".")
	usual := []string{"", t.h.Hostname, short, string(t.b.Name) + "." + t.h.Hostname, string(t.b.Name) + "." + short}
	switch {
	case t.args == nil, slices.Contains(usual, name), strings.HasPrefix(t.b.ID, name):
		t.take("hostname", "the host's", "")
	case len(name) > 64 || checkHostname(name) != nil:
		t.lose("the host name "+escape.Quote(name), "hostname(7) does not allow it")
	default:
		t.o.Hostname = name
		t.take("hostname", name, "")
	}
}

// anonymous matches the name of a volume that nobody named.
var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (t *takeover) volumes() {
	for _, mt := range t.b.Mounts {
		if t.standard(mt) {
			continue
		}
		t.volume(mt.Source+":"+mt.Target, options(mt))
	}
	for _, mt := range t.b.Volumes {
		switch {
		case t.standardTarget(mt.Target):
		case mt.Source == "":
			t.lose("the file system in memory at "+mt.Target, "tbx does not make one")
		case anonymous.MatchString(mt.Volume) || mt.Volume == "":
			t.lose("the volume without a name at "+mt.Target,
				"it goes with its container; copy what is in it with: podman cp "+string(t.b.Name)+":"+mt.Target+" DIRECTORY")
		default:
			t.volume(mt.Volume+":"+mt.Target, options(mt))
		}
	}
}

// options returns the options of a mount.
func options(mt Mapping) string {
	if slices.Contains(mt.Options, "ro") {
		return ":ro"
	}
	return ""
}

// volume takes over a volume, if a toolbox of tbx can have it.
func (t *takeover) volume(v, options string) {
	mt, err := ParseVolume(v + options)
	if err == nil {
		err = checkTarget(&Spec{}, mt)
	}
	switch {
	case strings.Count(v, ":") != 1 || !utf8.ValidString(v):
		t.lose("the volume "+escape.Text(v), "its path cannot be written in a specification")
	case err != nil:
		t.lose("the volume "+v+options, err.Error())
	default:
		t.o.Volumes = append(t.o.Volumes, v+options)
		t.take("volume", v+options, "")
	}
}

// standard reports whether the maker has this mount in every toolbox, so that tbx has its
// own way.
func (t *takeover) standard(mt Mapping) bool {
	switch {
	case t.standardTarget(mt.Target), mt.Source == mt.Target && mt.Source == t.ownHome():
		return true
	case mt.Source == mt.Target && (mt.Source == t.h.RealHome || mt.Source == t.h.Home || mt.Source == "/var/home/"+t.h.User):
		return true
	case mt.Source != mt.Target:
		return false
	case t.args == nil && (join.Below(mt.Target, "/run") || join.Below(mt.Target, "/var/run")):
		return true // Toolbx has no volumes of the user, only sockets of the host's services
	}
	fi, err := os.Stat(mt.Source) // sockets of the host's services, and /dev/shm where that is a link
	shm, _ := filepath.EvalSymlinks("/dev/shm")
	return err == nil && fi.Mode()&os.ModeSocket != 0 || mt.Source == shm
}

var (
	standardAt = []string{
		"/dev", "/tmp", "/sys", "/media", "/mnt", "/run/media", "/etc/hosts", "/etc/hostname", "/etc/localtime", "/etc/resolv.conf",
		"/etc/profile.d/toolbox.sh",
		"/usr/bin/toolbox", "/var/log/journal", "/run/.nopasswd", "/run/.distrobox.rootless", "/run/current-system/sw", "/sys/fs/selinux",
	}
	standardBelow = []string{"/run/host", "/dev/pts", "/dev/ptmx", "/run/secrets", "/run/user"}
)

func (t *takeover) standardTarget(target string) bool {
	return slices.Contains(standardAt, target) || slices.Contains(distroboxPrograms, target) || target == t.h.RuntimeDir ||
		slices.ContainsFunc(standardBelow, func(dir string) bool { return join.Below(target, dir) })
}

// ownVariables are the variables that the makers and podman set.
var ownVariables = regexp.MustCompile(`^(HOME|SHELL|PATH|TERM|HOSTNAME|USER|LOGNAME|container|CONTAINER_ID|TERMINFO_DIRS|` +
	`XDG_RUNTIME_DIR|(DISTROBOX|DBX|TOOLBOX|TOOLBX)_.*)=`)

func (t *takeover) env(imageEnv []string) {
	for _, kv := range t.b.Env {
		name, _, ok := strings.Cut(kv, "=")
		switch {
		case slices.Contains(imageEnv, kv), ownVariables.MatchString(kv):
		case !ok || name == "" || !utf8.ValidString(kv):
			t.lose("the variable "+escape.Quote(kv), "a specification cannot hold it")
		default:
			t.o.Env = append(t.o.Env, kv)
			t.take("env", kv, "")
		}
	}
}

func (t *takeover) limits() {
	a := t.b.Asked
	if a.Memory > 0 {
		if err := checkLimits(t.h, &CreateOptions{Memory: size(a.Memory)}); err != nil {
			t.lose("the limit of memory, "+size(a.Memory), err.Error())
		} else {
			t.o.Memory = size(a.Memory)
			t.take("memory", t.o.Memory, "")
		}
	}
	if a.NanoCPUs > 0 {
		const nano = 1e9
		cpus := strconv.FormatFloat(float64(a.NanoCPUs)/nano, 'f', -1, 64)
		if err := checkLimits(t.h, &CreateOptions{CPUs: cpus}); err != nil {
			t.lose("the limit of "+cpus+" processors", err.Error())
		} else {
			t.o.CPUs = cpus
			t.take("cpus", cpus, "")
		}
	}
}

// way reports the container's properties that a toolbox of tbx does not have, or has in
// another way.
func (t *takeover) way() {
	if on(t.args["nvidia"]) {
		t.take("nvidia", "the integration "+integration.GPU,
			"by the host's description of its devices (CDI), which also finds a new driver")
		if len(integration.NVIDIA(t.h.CDI)) == 0 {
			t.lose("NVIDIA's driver, until the host describes it",
				"describe it with: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml; then: tbx edit NAME")
		}
	}
	init := on(t.args["init"])
	if init {
		t.lose("systemd, or another init, as the first process",
			"a toolbox has none: services do not start by themselves, and systemctl --user talks to the host's")
	}
	for _, s := range []struct {
		what, mode string
		expected   bool
	}{{"network", t.b.Asked.Network, false}, {"process table", t.b.Asked.PID, init}} {
		if mode := cmp.Or(s.mode, "private"); mode != "host" && !s.expected {
			t.lose("a "+s.what+" of its own ("+mode+")", "a toolbox has the host's; an isolated one has its own: tbx create --isolated")
		}
	}
	if t.b.Asked.Ports {
		t.lose("ports of the host that lead to it", "a server in a toolbox listens on the host itself")
	}
	for _, hook := range []string{t.args["pre-init-hooks"], t.args[""]} {
		if strings.Trim(hook, " '\"") != "" {
			t.lose("the hook "+escape.Quote(hook), "distrobox runs it at every start, tbx has no such hook: put it where the toolbox's "+
				"shell reads it, such as /etc/profile.d")
		}
	}
}

// on reads a switch of distrobox's.
func on(word string) bool { return word == "1" || word == "true" }
