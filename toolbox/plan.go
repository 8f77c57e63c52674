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
	// LabelSpecification is the Spec itself as JSON, for a file that is lost.
	LabelSpecification = "io.tbx.specification"
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

// Plan is what podman is asked for: a Spec rendered for one host. Options are the
// flags that follow from it.
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

	Ephemeral bool `json:"ephemeral,omitempty"` // podman removes it when its first process has ended

	// Of an isolated toolbox. A limit that is 0 is none.
	Isolated bool   `json:"isolated,omitempty"`
	Network  string `json:"network,omitempty"` // private or none
	Pids     int64  `json:"pids_limit,omitempty"`
	Memory   int64  `json:"memory_limit,omitempty"` // bytes
	ShmSize  int64  `json:"shm_size,omitempty"`     // bytes
	Nofile   int64  `json:"nofile_limit,omitempty"`
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
			LabelID: s.ID, LabelSpec: s.Hash(), LabelSpecification: s.specLabel(), LabelVersion: strconv.Itoa(SpecVersion), LabelIsolated: strconv.FormatBool(s.Isolated),
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
