//go:build remote

package podman

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containers/common/pkg/capabilities"
	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/bindings"
	"github.com/containers/podman/v4/pkg/bindings/volumes"
	"github.com/containers/podman/v4/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// isolate puts what toolbox.Plan.Fixed says of an isolated toolbox into podman's
// words. seccomp is a profile's path.
func isolate(s *specgen.SpecGenerator, p *toolbox.Plan, seccomp string, pasta bool) {
	private := specgen.Namespace{NSMode: specgen.Private}
	s.UserNS = specgen.Namespace{NSMode: specgen.KeepID}
	s.PidNS, s.IpcNS, s.CgroupNS, s.UtsNS = private, private, private, private
	s.Hostname = p.Hostname
	switch {
	case p.Network == "none":
		s.NetNS = specgen.Namespace{NSMode: specgen.NoNetwork}
	case pasta: // which podman starts without a way to the host's loopback
		s.NetNS = specgen.Namespace{NSMode: specgen.Pasta}
	default:
		s.NetNS = specgen.Namespace{NSMode: specgen.Slirp}
		s.NetworkOptions = map[string][]string{"slirp4netns": {"allow_host_loopback=false"}}
	}
	s.UseImageHosts = true
	s.CapDrop = dropped()
	s.NoNewPrivileges = true
	s.SeccompProfilePath = seccomp
	s.ResourceLimits = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: p.Pids}} // 0: podman shall not try
	if p.Memory > 0 {                                                               // Swap is both together: none on top
		s.ResourceLimits.Memory = &specs.LinuxMemory{Limit: &p.Memory, Swap: &p.Memory}
	}
	s.ShmSize = &p.ShmSize
	// What is inside can write to the first process's output: that is kept as a file of
	// this size at most, and not in the user's journal.
	s.LogConfiguration = &specgen.LogConfig{Driver: define.KubernetesLogging, Size: maxLog}
	s.Rlimits = []specs.POSIXRlimit{{Type: "nofile", Soft: uint64(p.Nofile), Hard: uint64(p.Nofile)}}
}

// maxLog is in bytes.
const maxLog = 1 << 20

// dropped are all capabilities but those kept, one by one: with "all" dropped
// and some added, podman gives the added ones to the user as ambient.
func dropped() []string {
	var out []string
	kept := toolbox.KeptCapabilities()
	for _, c := range capabilities.AllCapabilities() {
		if !slices.Contains(kept, strings.TrimPrefix(c, "CAP_")) {
			out = append(out, c)
		}
	}
	return out
}

// pasta says whether the service's podman prefers pasta to slirp4netns: 5 does,
// and 6 knows nothing else.
func pasta(conn context.Context) bool {
	v := bindings.ServiceVersion(conn)
	return v != nil && v.Major >= 5
}

// RemoveVolume implements toolbox.Engine.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	if err := convert(volumes.Remove(conn, name, nil)); !errors.Is(err, fail.NotFound) {
		return err
	}
	return nil
}
