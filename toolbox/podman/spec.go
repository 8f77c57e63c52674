//go:build remote

package podman

import (
	"strings"
	"syscall"

	"github.com/containers/image/v5/manifest"
	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tbx-project/tbx/toolbox"
)

// specOf puts a plan into podman's words. What toolbox.Plan.Fixed and OverImage say
// is here, for an isolated toolbox in isolate, and of the environment in overImage.
func specOf(p *toolbox.Plan) *specgen.SpecGenerator {
	s := specgen.NewSpecGenerator(p.Image, false)
	s.Name = string(p.Name)
	s.Command = p.Command
	s.Entrypoint = []string{""} // none; an empty list would not be sent, and the image's be taken
	s.Labels = p.Labels
	s.Env = map[string]string{}
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		s.Env[name] = value
	}
	s.User = p.User
	s.ImageVolumeMode = "ignore"
	s.HealthConfig = &manifest.Schema2HealthConfig{Test: []string{"NONE"}}
	term := syscall.SIGTERM
	s.StopSignal = &term
	s.WorkDir = "/"
	s.Systemd = "false"
	stop := uint(2) // the first process ends at once; what has a cgroup is killed with it
	s.StopTimeout = &stop

	mounts(s, p)
	for _, d := range p.Devices {
		s.Devices = append(s.Devices, specs.LinuxDevice{Path: d})
	}
	if p.Isolated {
		return s
	}
	host := specgen.Namespace{NSMode: specgen.Host}
	s.UserNS = specgen.Namespace{NSMode: specgen.KeepID}
	s.PidNS, s.IpcNS, s.NetNS, s.CgroupNS, s.UtsNS = host, host, host, host, host
	if p.Hostname != "" {
		s.UtsNS = specgen.Namespace{NSMode: specgen.Private}
		s.Hostname = p.Hostname
	}
	s.Privileged = true
	s.SelinuxOpts = []string{"disable"}
	s.UseImageHosts = true
	s.UseImageResolvConf = true
	s.ResourceLimits = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: 0}}
	if p.Groups {
		// What podman's command makes of --group-add keep-groups; crun honours it.
		s.Annotations = map[string]string{define.RunOCIKeepOriginalGroups: "1"}
	}
	return s
}

// overImage keeps of the image's environment what the plan says.
func overImage(s *specgen.SpecGenerator, p *toolbox.Plan) {
	var path string
	s.UnsetEnv, path = p.OverImageEnv()
	if _, asked := s.Env["PATH"]; !asked {
		s.Env["PATH"] = path
	}
}

func mounts(s *specgen.SpecGenerator, p *toolbox.Plan) {
	for _, m := range p.Mounts {
		if m.Type == "volume" {
			s.Volumes = append(s.Volumes, &specgen.NamedVolume{Name: m.Source, Dest: m.Target, Options: m.Options})
			continue
		}
		s.Mounts = append(s.Mounts, specs.Mount{Type: m.Type, Source: m.Source, Destination: m.Target, Options: m.Options})
	}
}
