package toolbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Option is one flag that podman is asked for. An engine sends those of
// Plan.Options and nothing else beside the plan's name, image, command, mounts,
// devices, variables and labels, and refuses a flag that it does not know. So
// what create --dry-run prints is what is sent.
type Option struct {
	Flag  string `json:"flag"`            // of podman-create(1), without the dashes
	Value string `json:"value,omitempty"` // as that takes it; empty for a flag that takes none
	Why   string `json:"why"`
}

// Args returns the option as arguments of podman-create(1).
func (o Option) Args() []string {
	if o.Value == "" && o.Flag != "entrypoint" { // an empty entrypoint replaces the image's
		return []string{"--" + o.Flag}
	}
	return []string{"--" + o.Flag, o.Value}
}

// String writes the option in one line, without quotes.
func (o Option) String() string { return strings.TrimSpace(strings.Join(o.Args(), " ")) }

// Arguments returns everything that podman is asked for, in the order of printing, as
// podman-create(1) takes it: these flags, then the image and the command.
func (p *Plan) Arguments() []Option {
	out := append([]Option{{"name", string(p.Name), ""}}, p.Options()...)
	for _, d := range p.Devices {
		why := "the host describes it by CDI"
		if strings.HasPrefix(d, "/") {
			why = "a GPU, as you asked"
		}
		out = append(out, Option{"device", d, why})
	}
	for _, m := range p.Mounts {
		out = append(out, mountOption(m))
	}
	for _, kv := range p.ContainerEnv() {
		why := ""
		if strings.HasPrefix(kv, "PATH=") && !slices.Contains(p.Env, kv) {
			why = "the system's directories, then those of the image; its variables that act on every program are unset"
		}
		out = append(out, Option{"env", kv, why})
	}
	for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
		out = append(out, Option{"label", k + "=" + p.Labels[k], ""})
	}
	return out
}

// mountOption writes a mount as --mount. podman reads its value as a line of CSV, adds
// rbind itself, and knows an overlay by --volume alone.
func mountOption(m Mount) Option {
	if m.Overlay() {
		return Option{"volume", m.Source + ":" + m.Target + ":" + strings.Join(m.Options, ","), m.Reason}
	}
	fields := []string{"type=" + m.Type}
	if m.Source != "" {
		fields = append(fields, "source="+m.Source)
	}
	fields = append(fields, "destination="+m.Target)
	for _, o := range m.Options {
		switch {
		case m.Type == "bind" && o == "rbind":
		case m.Type == "bind" && o == "bind":
			fields = append(fields, "bind-nonrecursive")
		default:
			fields = append(fields, o)
		}
	}
	for i, f := range fields {
		if strings.ContainsAny(f, ",\"\r\n") {
			fields[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
	}
	return Option{"mount", strings.Join(fields, ","), m.Reason}
}

// Options returns the flags that podman is asked for, in the order of printing.
func (p *Plan) Options() []Option {
	out := append(p.overImage(), p.fixed()...)
	if p.Ephemeral {
		out = append(out, Option{"rm", "", "it is made for one session"})
	}
	return out
}

// overImage are the flags against what an image asks for and does not get.
func (p *Plan) overImage() []Option {
	const image = "an image says what is in the toolbox, not what is started or mounted"
	out := []Option{
		{"user", p.User, "what others start in it, such as your editor, is you, whoever the image means"},
		{"entrypoint", "", image},
		{"workdir", "/", image},
		{"image-volume", "ignore", image},
		{"no-healthcheck", "", image},
		{"systemd", "false", image},
		{"stop-signal", "TERM", "the first process ends at once"},
		{"stop-timeout", "2", "seconds; what has a cgroup is killed with the first process"},
	}
	unset, _ := p.OverImageEnv()
	for _, name := range unset {
		out = append(out, Option{"unsetenv", name, "the image sets it, and it acts on every program"})
	}
	return out
}

// fixed are the flags that every toolbox of its kind has.
func (p *Plan) fixed() []Option {
	if p.Isolated {
		return p.fixedIsolated()
	}
	if p.Pod != "" {
		return []Option{
			{"userns", "keep-id", "the layers are those that toolboxes of the image have"},
			{"network", "none", "it is not started"},
		}
	}
	const session = "a toolbox is a part of your session, not a machine of its own"
	out := []Option{
		{"userns", "keep-id", "your user id is the same inside and outside"},
		{"pid", "host", session},
		{"ipc", "host", session},
		{"network", "host", session},
		{"cgroupns", "host", session},
	}
	if p.Hostname == "" {
		out = append(out, Option{"uts", "host", "the host's name, which resolves and which your X11 cookies are for"})
	} else {
		out = append(out, Option{"uts", "private", "you asked for a name of its own"}, Option{"hostname", p.Hostname, "you asked for it"})
	}
	pids := Option{"pids-limit", strconv.FormatInt(p.Pids, 10), "limits are the host's"}
	if p.Pids > 0 {
		pids.Why = "the most processes and threads, as you asked"
	}
	out = append(out,
		Option{"privileged", "", "sudo inside may do everything that you may do on the host, and nothing more"},
		Option{"security-opt", "label=disable", "SELinux would keep the toolbox out of your home"},
		Option{"no-hosts", "", "the table of names follows the host's"},
		Option{"dns", "none", "the resolver follows the host's"},
		pids,
	)
	out = append(out, p.limited("what takes more than that is ended, as you asked")...)
	if p.Groups {
		out = append(out, Option{"group-add", "keep-groups", "devices that your groups may use"})
	}
	return out
}

func (p *Plan) fixedIsolated() []Option {
	const processes = "it can neither see nor signal a process of yours"
	network := Option{"network", "slirp4netns:allow_host_loopback=false",
		"a network of its own: the world, but no service on this machine's loopback (with podman 5: pasta)"}
	if p.Network == "none" {
		network = Option{"network", "none", "no network, as you asked"}
	}
	out := []Option{
		{"userns", "keep-id", "what you share with it stays yours"},
		{"pid", "private", processes},
		{"ipc", "private", processes},
		{"cgroupns", "private", processes},
		{"uts", "private", "it has a host name of its own"},
		{"hostname", p.Hostname, "it has a host name of its own"},
		network,
		{"cap-drop", strings.Join(p.CapDrop, ","), "what root inside needs to install packages; the user has none"},
		{"security-opt", "no-new-privileges", "no program inside gains rights, so no sudo: root is tbx run --root"},
		{"security-opt", "seccomp=" + p.Seccomp, "podman's own filter, without namespaces, mounts, keyrings, bpf, perf, io_uring, " +
			"sockets of other kinds than its network's, and 32-bit calls"},
		{"no-hosts", "", "the host's table of names is the host's"},
	}
	pids := Option{"pids-limit", strconv.FormatInt(p.Pids, 10), "a fork bomb inside stays inside"}
	if p.Pids == 0 {
		pids.Why = "this machine cannot limit the number of processes"
	}
	out = append(out, pids)
	out = append(out, p.limited("what takes more than that is ended, and not the host's programs")...)
	return append(out,
		Option{"log-driver", "k8s-file", "what the first process says, or another in its name, is in a file and not in your journal"},
		Option{"log-opt", "max-size=" + strconv.FormatInt(LogSize/1000, 10) + "kb", "and no more than that"},
		Option{"shm-size", size(p.ShmSize), "shared memory of its own"},
		Option{"ulimit", "nofile=" + strconv.FormatInt(p.Nofile, 10), "open files of one process"})
}

// limited are the options that limit memory and processors; why is of the memory.
func (p *Plan) limited(why string) []Option {
	var out []Option
	if p.Memory > 0 {
		out = append(out, Option{"memory", size(p.Memory), why}, Option{"memory-swap", size(p.Memory), "memory and swap together"})
	}
	if p.CPU > 0 {
		out = append(out, Option{"cpus", cpuText(p.CPU), "as many processors' time, as you asked"})
	}
	return out
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
