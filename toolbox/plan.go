package toolbox

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// Labels of a toolbox's container.
const (
	LabelID      = "io.tbx.id"      // Spec.ID
	LabelSpec    = "io.tbx.spec"    // Spec.Hash when the container was made
	LabelVersion = "io.tbx.version" // SpecVersion then
	// LabelSpecification is the Spec itself as JSON, in case the file is lost.
	LabelSpecification = "io.tbx.specification"
	// LabelIsolated is "true" on the container of an isolated toolbox, "false" on others.
	LabelIsolated = "io.tbx.isolated"
	// LabelToolbx is the label that Ptyxis, Cockpit and Toolbx itself look for.
	LabelToolbx = "com.github.containers.toolbox"
	// labelDevcontainer tells VS Code its user, see the devcontainer reference, "image
	// metadata".
	labelDevcontainer = "devcontainer.metadata"
)

// Mount is one mount of a plan: of an integration, of tbx's own, or a volume.
type Mount = integration.Mount

// Plan is the request to podman: a Spec rendered for one host. Options are the flags that
// follow from it.
type Plan struct {
	Name     Name              `json:"name"`
	Image    string            `json:"image"` // podman's image id
	Command  []string          `json:"command"`
	User     string            `json:"user"`               // UID:GID
	Hostname string            `json:"hostname,omitempty"` // empty: the host's UTS namespace
	Mounts   []Mount           `json:"mounts"`
	Env      []string          `json:"env"`
	ImageEnv []string          `json:"-"` // the image's environment; see OverImageEnv
	Labels   map[string]string `json:"labels"`
	Devices  []string          `json:"devices,omitempty"` // paths and CDI names
	Groups   bool              `json:"keep_groups"`
	Pod      string            `json:"-"` // a pod without processes, made if missing, that protects the container from prune

	Ephemeral bool `json:"ephemeral,omitempty"` // podman removes it after its first process has ended

	// 0: no limit.
	Pids   int64 `json:"pids_limit,omitempty"`
	Memory int64 `json:"memory_limit,omitempty"` // bytes
	CPU    int64 `json:"cpu_limit,omitempty"`    // thousandths of a processor's time

	// Of an isolated toolbox.
	Isolated bool     `json:"isolated,omitempty"`
	CapDrop  []string `json:"-"`                  // names of capabilities
	Seccomp  string   `json:"-"`                  // file of the system call filter, which the engine writes
	Network  string   `json:"network,omitempty"`  // private or none
	ShmSize  int64    `json:"shm_size,omitempty"` // bytes
	Nofile   int64    `json:"nofile_limit,omitempty"`
}

// Place holds what a plan depends on besides the specification and the host.
type Place struct {
	BoxDir string // directory of the versions of tbx-box on the host
	Box    string // the version to start, a directory below BoxDir
	Tree   bool   // tbx can attach the host view itself
	Bridge string // directory of the bridge that an isolated toolbox has; empty: none
}

// NewPlan renders s for h. It is a pure function.
func NewPlan(name Name, s *Spec, h *Host, at Place) (*Plan, error) {
	for _, home := range []string{h.Home, h.RealHome} {
		if err := checkHome(home); err != nil {
			return nil, err
		}
	}
	labels, err := s.labels(h)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Name:     name,
		Image:    s.ImageID,
		Command:  []string{filepath.Join(boxinit.BoxDir, at.Box, "tbx-box"), "pause"},
		User:     strconv.Itoa(h.UID) + ":" + strconv.Itoa(h.GID),
		Hostname: s.Hostname,
		Labels:   labels,
		Groups:   s.Has(integration.Groups),
		Env:      containerEnv(s, h),
	}
	if err := p.limit(s, h); err != nil {
		return nil, err
	}
	f := h.facts(s)
	f.Bridge = at.Bridge
	if s.Isolated {
		return p, p.isolate(s, h, f, at.BoxDir)
	}
	p.Mounts = append(p.Mounts, Mount{
		Type: "bind", Source: at.BoxDir, Target: boxinit.BoxDir, Options: []string{"rbind", "ro", "rprivate"},
		Reason: "the program that is the toolbox's first process",
	})
	p.Mounts = append(p.Mounts, f.Mounts()...)
	if !at.Tree {
		p.Mounts = append(p.Mounts, f.View()...)
	}
	p.Devices = f.Devices()
	return p, p.addVolumes(s)
}

// labels returns the labels of a container of s. Each is always set, because an image
// could set a missing one.
func (s *Spec) labels(h *Host) (map[string]string, error) {
	meta, err := json.Marshal([]map[string]string{{"remoteUser": h.User}})
	if err != nil {
		return nil, err
	}
	return map[string]string{
		LabelID: s.ID, LabelSpec: s.Hash(), LabelSpecification: s.specLabel(), LabelVersion: strconv.Itoa(SpecVersion),
		LabelIsolated: strconv.FormatBool(s.Isolated), LabelToolbx: "true", labelDevcontainer: string(meta),
	}, nil
}

func (p *Plan) addVolumes(s *Spec) error {
	for i, v := range s.Volumes {
		m, err := ParseVolume(v)
		if err != nil {
			return err
		}
		if s.Isolated && slices.Contains(m.Options, "ro") { // no later mounts of the host below it, because they would not be read-only
			m.Options = append(slices.DeleteFunc(m.Options, func(o string) bool { return o == "rslave" }), "rprivate")
		}
		if slices.ContainsFunc(s.Volumes[:i], func(o string) bool {
			other, err := ParseVolume(o)
			return err == nil && other.Target == m.Target
		}) {
			return fail.New(fail.Usage, "two volumes are to be mounted at %s", escape.Text(m.Target)).
				Hint("leave one of them out, or give it another place")
		}
		p.Mounts = append(p.Mounts, m)
	}
	return nil
}

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
	m := Mount{Type: "bind", Source: parts[0], Target: filepath.Clean(parts[1]), Options: []string{"rbind", "rslave"},
		Reason: "you asked for it"}
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
	overlay := false
	if len(parts) == 3 {
		for _, o := range strings.Split(parts[2], ",") {
			switch o {
			case "shared", "rshared", "slave", "rslave", "private", "rprivate":
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rslave" })
			case "bind":
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rbind" })
			case "O":
				overlay = m.Type == "bind"
			case "U":
				if m.Type == "bind" && !slices.Contains(strings.Split(parts[2], ","), "O") {
					return bad("option U would give the host's files there to the toolbox's root; what is yours is yours inside without it")
				}
			case "idmap":
				return bad("option idmap is for the host's root alone; what is yours is yours inside without it")
			case "ro", "rw", "noexec", "exec", "nosuid", "suid", "nodev", "dev", "rbind", "z", "Z":
			default:
				return bad("there is no mount option " + strconv.Quote(o))
			}
			if against := opposites[o]; slices.Contains(m.Options, against) {
				return bad("the options " + against + " and " + o + " exclude each other")
			}
			if !slices.Contains(m.Options, o) {
				m.Options = append(m.Options, o)
			}
		}
	}
	if overlay {
		return overlaid(m, parts[2])
	}
	return m, nil
}

// overlaid makes m an overlay. podman accepts only U as another option for it, and keeps
// the changes outside the directory.
func overlaid(m Mount, options string) (Mount, error) {
	for _, o := range strings.Split(options, ",") {
		if o != "O" && o != "U" {
			return Mount{}, fail.New(fail.Usage, "volume %q: option O goes with U alone, and not with %s", m.Source+":"+m.Target+":"+options, o)
		}
	}
	m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o != "O" && o != "U" })
	return m, nil
}

// ContainerEnv returns Env with the toolbox's PATH instead of the image's, unless Env has
// one.
func (p *Plan) ContainerEnv() []string {
	if slices.ContainsFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") }) {
		return p.Env
	}
	_, path := p.OverImageEnv()
	return append(slices.Clip(p.Env), "PATH="+path)
}

// opposites are options of a mount that exclude each other.
var opposites = map[string]string{
	"ro": "rw", "rw": "ro", "noexec": "exec", "exec": "noexec", "nosuid": "suid", "suid": "nosuid", "nodev": "dev", "dev": "nodev",
}

// containerEnv is the environment of sessions that others open (podman exec, an editor).
// tbx's own sessions also get the caller's, see SessionEnv.
func containerEnv(s *Spec, h *Host) []string {
	env := []string{
		"HOME=" + h.Home,
		"USER=" + h.User,
		"LOGNAME=" + h.User,
		"XDG_RUNTIME_DIR=" + boxRuntimeDir(h),
	}
	if s.Has(integration.HostView) {
		for _, d := range h.facts(s).HostDirs() {
			env = append(env, d.Variable+"="+d.Value)
		}
	}
	return append(env, s.Env...)
}
