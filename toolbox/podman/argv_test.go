//go:build remote

package podman

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/containers/podman/v4/pkg/domain/entities"
	"github.com/containers/podman/v4/pkg/specgen"
	"github.com/containers/podman/v4/pkg/specgenutil"
	"github.com/containers/podman/v4/pkg/util"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// TestPrintedIsSent reads the arguments that create --dry-run prints as podman's own
// command reads them, for random toolboxes, and compares the outcome with what the
// engine sends. So the printed command makes the same container.
func TestPrintedIsSent(t *testing.T) {
	t.Setenv("CONTAINERS_CONF", "/dev/null") // or the tester's own defaults count
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	bare := fields(t, readArguments(t, []string{"--name", "bare", "image"}))
	for range 200 {
		p := randomPlan(t, random)
		var argv []string
		for _, o := range p.Arguments() {
			argv = append(argv, o.Args()...)
		}
		argv = append(append(argv, p.Image), p.Command...)
		s, err := specOf(p, false)
		if err != nil {
			t.Fatal(err)
		}
		sent, read := fields(t, s), fields(t, readArguments(t, argv))
		all := maps.Clone(sent)
		maps.Copy(all, read)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			_, both := sent[key]
			if !both && reflect.DeepEqual(read[key], bare[key]) {
				continue // a default of podman's command, which its service has too
			}
			if !reflect.DeepEqual(sent[key], read[key]) {
				t.Errorf("%s: sent %v, and printed:\n%v\n%q", key, sent[key], read[key], argv)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// readArguments is what `podman create` makes of its arguments, with the part of its
// flags that tbx uses.
func readArguments(t *testing.T, argv []string) *specgen.SpecGenerator {
	t.Helper()
	c := &entities.ContainerCreateOptions{
		Net: &entities.NetOptions{}, MemorySwappiness: -1, SdNotifyMode: "container", SeccompPolicy: "default", Systemd: "true", StopTimeout: 10,
	}
	f := pflag.NewFlagSet("create", pflag.ContinueOnError)
	f.SetInterspersed(false)
	f.StringVar(&c.Name, "name", "", "")
	f.StringVar(&c.User, "user", "", "")
	f.StringVar(&c.Workdir, "workdir", "", "")
	f.StringVar(&c.ImageVolume, "image-volume", "", "")
	f.BoolVar(&c.NoHealthCheck, "no-healthcheck", false, "")
	f.StringVar(&c.Systemd, "systemd", c.Systemd, "")
	f.StringVar(&c.StopSignal, "stop-signal", "", "")
	f.UintVar(&c.StopTimeout, "stop-timeout", c.StopTimeout, "")
	f.StringArrayVar(&c.UnsetEnv, "unsetenv", nil, "")
	f.StringVar(&c.UserNS, "userns", "", "")
	f.StringVar(&c.PID, "pid", "", "")
	f.StringVar(&c.IPC, "ipc", "", "")
	f.StringVar(&c.CgroupNS, "cgroupns", "", "")
	f.StringVar(&c.UTS, "uts", "", "")
	f.StringVar(&c.Hostname, "hostname", "", "")
	f.BoolVar(&c.Privileged, "privileged", false, "")
	f.BoolVar(&c.Rm, "rm", false, "")
	f.StringArrayVar(&c.SecurityOpt, "security-opt", nil, "")
	f.BoolVar(&c.Net.NoHosts, "no-hosts", false, "")
	f.StringSliceVar(&c.CapDrop, "cap-drop", nil, "")
	f.StringVar(&c.Memory, "memory", "", "")
	f.StringVar(&c.MemorySwap, "memory-swap", "", "")
	f.Float64Var(&c.CPUS, "cpus", 0, "")
	f.StringVar(&c.ShmSize, "shm-size", "", "")
	f.StringVar(&c.LogDriver, "log-driver", "", "")
	f.StringArrayVar(&c.LogOptions, "log-opt", nil, "")
	f.StringSliceVar(&c.Ulimit, "ulimit", nil, "")
	f.StringSliceVar(&c.Devices, "device", nil, "")
	f.StringArrayVar(&c.Mount, "mount", nil, "")
	f.StringArrayVar(&c.Volume, "volume", nil, "")
	f.StringArrayVar(&c.Env, "env", nil, "")
	f.StringArrayVar(&c.Label, "label", nil, "")
	entrypoint := f.String("entrypoint", "", "")
	network := f.StringArray("network", nil, "")
	dns := f.StringSlice("dns", nil, "")
	pids := f.String("pids-limit", "", "")
	groups := f.StringSlice("group-add", nil, "")
	if err := f.Parse(argv); err != nil {
		t.Fatalf("%v: %q", err, argv)
	}
	if f.Changed("entrypoint") {
		c.Entrypoint = entrypoint
	}
	if f.Changed("pids-limit") {
		n, err := strconv.ParseInt(*pids, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		c.PIDsLimit = &n
	}
	if slices.Equal(*groups, []string{"keep-groups"}) { // as the command that does not speak to a service reads it
		c.Annotation = append(c.Annotation, "run.oci.keep_original_groups=1")
	}
	c.Net.UseImageResolvConf = slices.Equal(*dns, []string{"none"})
	if len(*network) > 0 {
		var err error
		if c.Net.Network, c.Net.Networks, c.Net.NetworkOptions, err = specgen.ParseNetworkFlag(*network, false); err != nil {
			t.Fatal(err)
		}
	}
	// The service takes any option of a devpts, podman's command but a few.
	devpts := func(m string) bool { return strings.HasPrefix(m, "type=devpts,") }
	own := slices.DeleteFunc(slices.Clone(c.Mount), func(m string) bool { return !devpts(m) })
	c.Mount = slices.DeleteFunc(c.Mount, devpts)
	s := specgen.NewSpecGenerator(f.Arg(0), false)
	if err := specgenutil.FillOutSpecGen(s, c, f.Args()); err != nil {
		t.Fatalf("%v: %q", err, argv)
	}
	for _, m := range own {
		target, options, _ := strings.Cut(strings.TrimPrefix(m, "type=devpts,destination="), ",")
		s.Mounts = append(s.Mounts, specs.Mount{Type: "devpts", Destination: target, Options: strings.Split(options, ",")})
	}
	return s
}

// fields are those of a specification as JSON that say something, in one order.
func fields(t *testing.T, s *specgen.SpecGenerator) map[string]any {
	t.Helper()
	for i, m := range s.Mounts {
		if m.Type != "bind" {
			continue
		}
		options, err := util.ProcessOptions(m.Options, false, "") // adds what goes without saying, as the service does
		if err != nil {
			t.Fatal(err)
		}
		s.Mounts[i].Options = options
	}
	out := map[string]any{}
	for key, value := range keys(t, s) {
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			t.Fatal(err)
		}
		if key == "mounts" || key == "volumes" || key == "overlay_volumes" {
			v = sorted(v)
		}
		out[key] = v
	}
	delete(out, "containerCreateCommand") // a note of how it was asked for
	if m := s.IDMappings; m != nil && len(m.UIDMap)+len(m.GIDMap) == 0 && !m.AutoUserNs && !m.HostUIDMapping && !m.HostGIDMapping {
		delete(out, "idmappings") // maps nothing
	}
	if notes, ok := out["annotations"].(map[string]any); ok {
		for _, note := range []string{"io.podman.annotations.label", "io.podman.annotations.seccomp"} {
			delete(notes, note) // for podman inspect
		}
		if len(notes) == 0 {
			delete(out, "annotations")
		}
	}
	return out
}

// sorted puts mounts and their options in one order: podman's command keeps none.
func sorted(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = sorted(v[i])
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	case map[string]any:
		for key := range v {
			v[key] = sorted(v[key])
		}
	}
	return v
}

// randomPlan is of a toolbox with any of the options that create has.
func randomPlan(t *testing.T, random *rand.Rand) *toolbox.Plan {
	t.Helper()
	maybe := func() bool { return random.IntN(2) == 0 }
	some := func(of ...string) (out []string) {
		for _, one := range of {
			if maybe() {
				out = append(out, one)
			}
		}
		return out
	}
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	h := &toolbox.Host{
		UID: 1000 + random.IntN(9), GID: 100, User: "jane", Group: "users", Shell: "/bin/sh", Hostname: "desk", RuntimeDir: "/run/user/1000",
		Home: "/home/jane", RealHome: one("/home/jane", "/var/home/jane", "/srv/a b, \"c\"/jane"), HasRuntime: maybe(), Systemd: maybe(),
		Env:    some("WAYLAND_DISPLAY=wayland-1", "DISPLAY=:0", "SSH_AUTH_SOCK=/run/user/1000/agent"),
		CDI:    some("nvidia.com/gpu"),
		Exists: func(string) bool { return maybe() },
		Limits: func(string) bool { return maybe() },
		RAM:    func() int64 { return 1 << 34 }, Nofile: func() int64 { return 1024 << random.IntN(9) },
		RenderNodes:    func() []string { return some("/dev/dri/renderD128", "/dev/dri/card0") },
		LastCapability: func() int { return 35 + random.IntN(6) },
	}
	s := &toolbox.Spec{
		Version: toolbox.SpecVersion, ID: "0123456789abcdef0123456789abcdef", Image: "localhost/image", ImageID: "image-id",
		Hostname: one("", "box"), Isolated: maybe(),
		Env:     some("A=b", "B=", "QUOTE='\"$(x)", "LINES=a\nb", "PATH=/opt/bin", "LD_PRELOAD=/x.so"),
		Memory:  one("", "4g", "123456789b", "1100m"),
		CPUs:    one("", "1.5", "0.01", "16"),
		Pids:    int64(random.IntN(2) * 300),
		Volumes: some("/srv/data:/data:ro", "/srv/a b:/with blank:bind,nosuid", "cache:/var/cache:noexec", "/srv/one:/one:rw,z", "/srv/'q':/q:rprivate,exec"),
	}
	for _, i := range integration.All() {
		if maybe() {
			s.Without = append(s.Without, i.Key)
		}
	}
	if s.Isolated {
		s.Share, s.NoNetwork, s.GPU, s.ShmSize = some("/srv/share", "/srv/read:ro", "/srv/with, comma"), maybe(), maybe(), one("", "1g", "65537b")
	} else {
		s.Home = one("", "/srv/home, other")
		s.Volumes = append(s.Volumes, some("/srv/over:/over:O", "owned:/owned:U", "/srv/both:/both:U,O")...)
	}
	p, err := toolbox.NewPlan("box", s, h, toolbox.Place{BoxDir: "/home/jane/box", Box: "0", Tree: maybe(), Bridge: one("", "/run/bridge")})
	if err != nil {
		t.Fatal(err)
	}
	p.ImageEnv = some("PATH=/opt/image/bin:/usr/bin", "LD_LIBRARY_PATH=/x", "BASH_ENV=/y", "LANG=C")
	p.Ephemeral = maybe()
	p.Command = append(p.Command, some("--like-a-flag", "two words")...)
	return p
}
