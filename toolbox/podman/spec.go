//go:build remote

package podman

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/containers/image/v5/manifest"
	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/toolbox"
)

// request is a plan while it is translated for podman.
type request struct {
	*specgen.SpecGenerator
	plan  *toolbox.Plan
	pasta bool // podman's network of its own is pasta's
}

// specOf translates a plan for podman: its options by set, the rest here.
func specOf(p *toolbox.Plan, pasta bool) (*specgen.SpecGenerator, error) {
	s := specgen.NewSpecGenerator(p.Image, false)
	s.Name = string(p.Name)
	s.Command = p.Command
	s.Labels = p.Labels
	s.Env = map[string]string{}
	for _, kv := range p.ContainerEnv() {
		name, value, _ := strings.Cut(kv, "=")
		s.Env[name] = value
	}
	mounts(s, p)
	for _, d := range p.Devices {
		s.Devices = append(s.Devices, specs.LinuxDevice{Path: d})
	}
	r := &request{s, p, pasta}
	for _, o := range p.Options() {
		if err := r.set(o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// set does what podman's command does for an option.
func (r *request) set(o toolbox.Option) error {
	if ok, err := r.setNamespace(o); ok {
		return err
	}
	if ok, err := r.setLimit(o); ok {
		return err
	}
	switch o.Flag {
	case "user":
		r.User = o.Value
	case "entrypoint":
		r.Entrypoint = []string{o.Value} // an empty list would not be sent, and the image's be taken
	case "workdir":
		r.WorkDir = o.Value
	case "image-volume":
		r.ImageVolumeMode = o.Value
	case "no-healthcheck":
		r.HealthConfig = &manifest.Schema2HealthConfig{Test: []string{"NONE"}}
	case "systemd":
		r.Systemd = o.Value
	case "stop-signal":
		sig := unix.SignalNum("SIG" + o.Value)
		if sig == 0 {
			return fmt.Errorf("there is no signal %s", o.Value)
		}
		r.StopSignal = &sig
	case "unsetenv":
		r.UnsetEnv = append(r.UnsetEnv, o.Value)
	case "hostname":
		r.Hostname = o.Value
	case "no-hosts":
		r.UseImageHosts = true
	case "dns":
		r.UseImageResolvConf = o.Value == "none"
	case "group-add":
		// What podman's command makes of keep-groups; crun honours it.
		r.Annotations = map[string]string{define.RunOCIKeepOriginalGroups: "1"}
	case "privileged":
		r.Privileged = true
	case "rm":
		r.Remove, r.Volatile = true, true // its layer need not outlive a crash
	case "security-opt":
		return r.setSecurity(o.Value)
	case "cap-drop":
		r.CapDrop = strings.Split(o.Value, ",")
	default:
		return fmt.Errorf("the option %s is not known to the engine", o)
	}
	return nil
}

func (r *request) setSecurity(value string) error {
	file, seccomp := strings.CutPrefix(value, "seccomp=")
	switch {
	case value == "label=disable":
		r.SelinuxOpts = []string{"disable"}
	case value == "no-new-privileges":
		r.NoNewPrivileges = true
	case seccomp:
		r.SeccompProfilePath = file
	default:
		return fmt.Errorf("the option --security-opt %s is not known to the engine", value)
	}
	return nil
}

// setNamespace handles the options that choose a namespace.
func (r *request) setNamespace(o toolbox.Option) (ok bool, err error) {
	ns := map[string]*specgen.Namespace{
		"userns": &r.UserNS, "pid": &r.PidNS, "ipc": &r.IpcNS, "network": &r.NetNS, "cgroupns": &r.CgroupNS, "uts": &r.UtsNS,
	}[o.Flag]
	if ns == nil {
		return false, nil
	}
	mode, options, _ := strings.Cut(o.Value, ":")
	switch mode {
	case "keep-id", "host", "private":
		ns.NSMode = specgen.NamespaceMode(mode)
	case "none":
		ns.NSMode = specgen.NoNetwork
	case "slirp4netns":
		if r.pasta { // podman starts it without a way to the host's loopback
			ns.NSMode = specgen.Pasta
			break
		}
		ns.NSMode = specgen.Slirp
		r.NetworkOptions = map[string][]string{"slirp4netns": strings.Split(options, ",")}
	default:
		return true, fmt.Errorf("the option %s is not known to the engine", o)
	}
	return true, nil
}

// setLimit handles the options with numbers. The numbers are the plan's.
func (r *request) setLimit(o toolbox.Option) (ok bool, err error) {
	limits := func() *specs.LinuxResources {
		if r.ResourceLimits == nil {
			r.ResourceLimits = &specs.LinuxResources{}
		}
		return r.ResourceLimits
	}
	switch o.Flag {
	case "stop-timeout":
		seconds, err := strconv.ParseUint(o.Value, 10, 16)
		stop := uint(seconds)
		r.StopTimeout = &stop
		return true, err
	case "pids-limit":
		limits().Pids = &specs.LinuxPids{Limit: r.plan.Pids} // 0: podman shall not try
	case "memory", "memory-swap": // Swap is both together: none on top
		limits().Memory = &specs.LinuxMemory{Limit: &r.plan.Memory, Swap: &r.plan.Memory}
	case "cpus":
		limits().CPU = cpus(r.plan.CPU)
	case "shm-size":
		r.ShmSize = &r.plan.ShmSize
	case "log-driver", "log-opt":
		r.LogConfiguration = &specgen.LogConfig{Driver: define.KubernetesLogging, Size: toolbox.LogSize}
	case "ulimit":
		r.Rlimits = []specs.POSIXRlimit{{Type: "nofile", Soft: uint64(r.plan.Nofile), Hard: uint64(r.plan.Nofile)}}
	default:
		return false, nil
	}
	return true, nil
}

// cpus is a limit of thousandths of a processor's time, as podman's command makes one.
func cpus(thousandths int64) *specs.LinuxCPU {
	period := uint64(100000) // microseconds
	quota := thousandths * int64(period) / 1000
	return &specs.LinuxCPU{Period: &period, Quota: &quota}
}

func mounts(s *specgen.SpecGenerator, p *toolbox.Plan) {
	for _, m := range p.Mounts {
		if m.Type == "volume" {
			s.Volumes = append(s.Volumes, &specgen.NamedVolume{Name: m.Source, Dest: m.Target, Options: m.Options})
			continue
		}
		if m.Overlay() {
			s.OverlayVolumes = append(s.OverlayVolumes, &specgen.OverlayVolume{Source: m.Source, Destination: m.Target, Options: m.Options})
			continue
		}
		s.Mounts = append(s.Mounts, specs.Mount{Type: m.Type, Source: m.Source, Destination: m.Target, Options: m.Options})
	}
}
