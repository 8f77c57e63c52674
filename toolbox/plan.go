package toolbox

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// Labels of a toolbox's container.
const (
	LabelID      = "io.tbx.id"      // Spec.ID
	LabelSpec    = "io.tbx.spec"    // Spec.Hash when the container was made
	LabelVersion = "io.tbx.version" // SpecVersion then
	// LabelIsolated is "true" on the container of an isolated toolbox, "false" on others.
	LabelIsolated = "io.tbx.isolated"
	// LabelToolbx is what Ptyxis, Cockpit and Toolbx itself look for.
	LabelToolbx = "com.github.containers.toolbox"
	// labelDevcontainer tells VS Code who to be, see the devcontainer reference,
	// "image metadata".
	labelDevcontainer = "devcontainer.metadata"
)

// hostRuntime is where the host's runtime directory is mounted when only parts
// of it are shared.
const hostRuntime = "/run/tbx/host-runtime"

// Mount is one mount of a plan.
type Mount struct {
	Type        string   `json:"type"` // bind, devpts or volume
	Source      string   `json:"source,omitempty"`
	Target      string   `json:"target"`
	Options     []string `json:"options,omitempty"`
	Reason      string   `json:"reason"`
	Integration string   `json:"integration,omitempty"` // key of the integration that wants it
}

// Plan is what podman is asked for: a Spec rendered for one host. What is the
// same for every toolbox (namespaces, privileges) is not in it; see Fixed.
type Plan struct {
	Name     Name              `json:"name"`
	Image    string            `json:"image"` // podman's image id
	Command  []string          `json:"command"`
	User     string            `json:"user"`               // UID:GID
	Hostname string            `json:"hostname,omitempty"` // empty: the host's UTS namespace
	Mounts   []Mount           `json:"mounts"`
	Env      []string          `json:"env"`
	ImageEnv []string          `json:"-"` // what the image says; see OverImageEnv
	Labels   map[string]string `json:"labels"`
	Devices  []string          `json:"devices,omitempty"` // paths and CDI names
	Groups   bool              `json:"keep_groups"`

	// Of an isolated toolbox. A limit that is 0 is none.
	Isolated bool   `json:"isolated,omitempty"`
	Network  string `json:"network,omitempty"` // private or none
	Pids     int64  `json:"pids_limit,omitempty"`
	Memory   int64  `json:"memory_limit,omitempty"` // bytes
	ShmSize  int64  `json:"shm_size,omitempty"`     // bytes
	Nofile   int64  `json:"nofile_limit,omitempty"`
}

// Fixed says what every toolbox's container has beside its mounts, with the
// reason, in the words of podman-create(1).
func (p *Plan) Fixed() [][2]string {
	if p.Isolated {
		return p.fixedIsolated()
	}
	return [][2]string{
		{"--userns keep-id", "your user id is the same inside and outside"},
		{"--pid host, --ipc host, --network host, --cgroupns host", "a toolbox is a part of your session, not a machine of its own"},
		{"--privileged", "sudo inside may do everything that you may do on the host, and nothing more"},
		{"--security-opt label=disable", "SELinux would keep the toolbox out of your home"},
		{"--no-hosts, --dns none", "both follow the host"},
		{"--pids-limit 0", "limits are the host's"},
	}
}

// OverImage says, as Fixed does, what an image asks for and does not get.
func (p *Plan) OverImage() [][2]string {
	return [][2]string{
		{"--user " + p.User, "what others start in it, such as your editor, is you, whoever the image means"},
		{"--entrypoint '', --image-volume ignore, --no-healthcheck, --stop-signal TERM", "an image says what is in the toolbox, not what is started or mounted"},
		{"--unsetenv LD_…, TBX_…, BASH_ENV and the like", "nor what acts on every program; its PATH comes behind the system's"},
	}
}

func (p *Plan) fixedIsolated() [][2]string {
	network := [2]string{"--network slirp4netns:allow_host_loopback=false", "a network of its own: the world, but no service on this machine's loopback (with podman 5: pasta)"}
	if p.Network == "none" {
		network = [2]string{"--network none", "no network, as you asked"}
	}
	out := [][2]string{
		{"--userns keep-id", "what you share with it stays yours"},
		{"--pid, --ipc, --cgroupns private", "it can neither see nor signal a process of yours"},
		network,
		{"--cap-drop all but " + strings.Join(KeptCapabilities(), " "), "what root inside needs to install packages; the user has none"},
		{"--security-opt no-new-privileges", "no program inside gains rights, so no sudo: root is tbx run --root"},
		{"--security-opt seccomp=strict", "podman's own filter, without namespaces, mounts, keyrings, bpf, perf and io_uring"},
		{"--no-hosts", "the host's table of names is the host's"},
	}
	if p.Pids > 0 {
		out = append(out, [2]string{"--pids-limit " + strconv.FormatInt(p.Pids, 10), "a fork bomb inside stays inside"})
	}
	if p.Memory > 0 {
		out = append(out, [2]string{"--memory " + size(p.Memory) + " --memory-swap " + size(p.Memory), "what takes more than that is ended, and not the host's programs"})
	}
	return append(out,
		[2]string{"--shm-size " + size(p.ShmSize), "shared memory of its own"},
		[2]string{"--ulimit nofile=" + strconv.FormatInt(p.Nofile, 10), "open files of one process"})
}

// size writes bytes as podman reads them.
func size(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}} {
		if n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "b"
}

// NewPlan renders s. box is the directory of tbx-box below the versions'
// directory boxDir, tree says whether tbx can attach the host's view itself, and
// bridge is the directory of the bridge, which an isolated toolbox is mounted.
func NewPlan(name Name, s *Spec, h *Host, boxDir, box string, tree bool, bridge string) (*Plan, error) {
	for _, home := range []string{h.Home, h.RealHome} {
		if err := checkHome(home); err != nil {
			return nil, err
		}
	}
	meta, err := json.Marshal([]map[string]string{{"remoteUser": h.User}})
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Name:     name,
		Image:    s.ImageID,
		Command:  []string{filepath.Join(boxinit.BoxDir, box, "tbx-box"), "pause"},
		User:     strconv.Itoa(h.UID) + ":" + strconv.Itoa(h.GID),
		Hostname: s.Hostname,
		// Each of them, always: what is not said here, an image can say.
		Labels: map[string]string{
			LabelID: s.ID, LabelSpec: s.Hash(), LabelVersion: strconv.Itoa(SpecVersion), LabelIsolated: strconv.FormatBool(s.Isolated),
			LabelToolbx: "true", labelDevcontainer: string(meta),
		},
		Groups: s.Has(Groups),
		Env:    containerEnv(s, h),
	}
	if s.Isolated {
		return p, p.isolate(s, h, boxDir, bridge)
	}
	bind := func(source, target, integration, reason string, options ...string) {
		if len(options) == 0 {
			options = []string{"rslave"}
		}
		p.Mounts = append(p.Mounts, Mount{Type: "bind", Source: source, Target: target, Options: append([]string{"rbind"}, options...), Reason: reason, Integration: integration})
	}
	bind(boxDir, boxinit.BoxDir, "", "the program that is the toolbox's first process", "ro", "rprivate")
	if s.Has(Home) {
		from, why := h.RealHome, "your home"
		if s.Home != "" {
			from, why = s.Home, "the home of this toolbox alone"
		}
		bind(from, h.RealHome, Home, why)
	}
	switch {
	case !h.HasRuntime:
	case wholeRuntime(s):
		bind(h.RuntimeDir, h.RuntimeDir, SessionBus, "sockets of your session: Wayland, PipeWire, D-Bus, agents")
	case partOfRuntime(s):
		bind(h.RuntimeDir, hostRuntime, SessionBus, "sockets of your session, of which some are linked to "+boxRuntimeDir(h))
	}
	if s.Has(Tmp) {
		bind("/tmp", "/tmp", Tmp, "files and X11 sockets that programs on both sides exchange")
	}
	if s.Has(Devices) {
		bind("/dev", "/dev", Devices, "devices of the host, as they come and go")
		p.Mounts = append(p.Mounts, Mount{Type: "devpts", Target: "/dev/pts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}, Reason: "terminals of its own, which sudo needs"})
	}
	if s.Has(HostView) && !tree {
		bind("/", boxinit.HostView, HostView, "the host's files")
	}
	if s.Has(GPU) {
		p.Devices = h.cdiDevices()
	}
	return p, p.addVolumes(s)
}

// cdiDevices are the GPUs that the host describes by CDI.
func (h *Host) cdiDevices() []string {
	if slices.Contains(h.CDI, "nvidia.com/gpu") {
		return []string{"nvidia.com/gpu=all"}
	}
	return nil
}

func (p *Plan) addVolumes(s *Spec) error {
	for _, v := range s.Volumes {
		m, err := ParseVolume(v)
		if err != nil {
			return err
		}
		if s.Isolated && slices.Contains(m.Options, "ro") { // nothing that the host mounts below it later, which would not be
			m.Options = append(slices.DeleteFunc(m.Options, func(o string) bool { return o == "rslave" }), "rprivate")
		}
		p.Mounts = append(p.Mounts, m)
	}
	return nil
}

// runtimeParts are the integrations that live in the runtime directory.
func runtimeParts() []string { return []string{Wayland, Audio, SessionBus, SSHAgent, GPGAgent} }

func wholeRuntime(s *Spec) bool {
	return !slices.ContainsFunc(runtimeParts(), func(k string) bool { return !s.Has(k) })
}

func partOfRuntime(s *Spec) bool { return slices.ContainsFunc(runtimeParts(), s.Has) }

// boxRuntimeDir is XDG_RUNTIME_DIR inside.
func boxRuntimeDir(h *Host) string {
	if h.HasRuntime {
		return h.RuntimeDir
	}
	return "/run/user/" + strconv.Itoa(h.UID)
}

// ParseVolume reads SOURCE:TARGET[:OPTIONS] as podman-create(1) has it. SOURCE
// is an absolute directory of the host or the name of a podman volume.
func ParseVolume(v string) (Mount, error) {
	parts := strings.Split(v, ":")
	bad := func(why string) (Mount, error) {
		return Mount{}, fail.New(fail.Usage, "volume %q: %s", v, why).Hint("write SOURCE:TARGET[:OPTIONS], for example /srv/data:/srv/data:ro")
	}
	if len(parts) < 2 || len(parts) > 3 {
		return bad("it must have two or three parts")
	}
	m := Mount{Type: "bind", Source: parts[0], Target: filepath.Clean(parts[1]), Options: []string{"rbind", "rslave"}, Reason: "you asked for it"}
	switch {
	case !filepath.IsAbs(parts[1]):
		return bad("the target must be an absolute path")
	case m.Target == "/" || m.Target == "/proc" || m.Target == "/run/tbx" || strings.HasPrefix(m.Target, "/run/tbx/"):
		return bad(m.Target + " cannot be mounted over in a toolbox")
	case m.Source == "":
		return bad("the source is empty")
	case filepath.IsAbs(m.Source):
		m.Source = filepath.Clean(m.Source)
	case strings.Contains(m.Source, "/"):
		return bad("the source must be an absolute path, or the name of a podman volume")
	default:
		m.Type, m.Options = "volume", nil
	}
	if len(parts) == 3 {
		for _, o := range strings.Split(parts[2], ",") {
			switch o {
			case "shared", "rshared", "slave", "rslave", "private", "rprivate":
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rslave" })
			case "bind":
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rbind" })
			case "ro", "rw", "noexec", "exec", "nosuid", "suid", "nodev", "dev", "rbind", "z", "Z", "U", "idmap", "O":
			default:
				return bad("there is no mount option " + strconv.Quote(o))
			}
			if !slices.Contains(m.Options, o) {
				m.Options = append(m.Options, o)
			}
		}
	}
	return m, nil
}

// containerEnv is the environment that sessions opened by others (podman exec,
// an editor) have. What tbx opens gets the caller's as well, see SessionEnv.
func containerEnv(s *Spec, h *Host) []string {
	env := []string{
		"HOME=" + h.Home,
		"USER=" + h.User,
		"LOGNAME=" + h.User,
		"XDG_RUNTIME_DIR=" + boxRuntimeDir(h),
	}
	if s.Has(Terminfo) && s.Has(HostView) {
		env = append(env, "TERMINFO_DIRS="+terminfoDirs)
	}
	return append(env, s.Env...)
}

// terminfoDirs adds the host's terminal descriptions behind the image's own,
// which an empty entry stands for, terminfo(5).
const terminfoDirs = ":/run/host/etc/terminfo:/run/host/lib/terminfo:/run/host/usr/share/terminfo"
