package toolbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Option is one flag of the request to podman. Besides Plan.Options, an engine sends only
// the plan's name, image, command, mounts, devices, variables and labels, and refuses an
// unknown flag. So create --dry-run prints exactly the request.
type Option struct {
	Flag  string `json:"flag"`            // of podman-create(1), without the dashes
	Value string `json:"value,omitempty"` // in that program's format; empty for a flag without a value
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

// Arguments returns the whole request to podman, in printing order, as podman-create(1)
// takes it: these flags, then the image and the command.
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

// mountOption renders a mount as --mount. podman reads the value as a line of CSV, adds
// rbind itself, and accepts an overlay by --volume only.
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

// Options returns the flags of the request to podman, in printing order.
func (p *Plan) Options() []Option {
	out := append(p.overImage(), p.fixed()...)
	if p.Ephemeral {
		out = append(out, Option{"rm", "", "it is made for one session"})
	}
	return out
}

// overImage returns the flags that override the image's settings.
func (p *Plan) overImage() []Option {
	const image = "an image provides the toolbox's files; it does not decide what is started or mounted"
	out := []Option{
		{"user", p.User, "processes that others start in it, such as your editor, run as you, not as the image's user"},
		{"entrypoint", "", image},
		{"workdir", "/", image},
		{"image-volume", "ignore", image},
		{"no-healthcheck", "", image},
		{"systemd", "false", image},
		{"stop-signal", "TERM", "the first process ends at once"},
		{"stop-timeout", "2", "seconds; processes in its cgroup are killed with the first one"},
	}
	unset, _ := p.OverImageEnv()
	for _, name := range unset {
		out = append(out, Option{"unsetenv", name, "the image sets it, and it acts on every program"})
	}
	return out
}

// fixed returns the flags that every toolbox of its kind has.
func (p *Plan) fixed() []Option {
	if p.Isolated {
		return p.fixedIsolated()
	}
	if p.Pod != "" {
		return []Option{
			{"userns", "keep-id", "it uses the same layers as toolboxes of the image"},
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
		out = append(out, Option{"uts", "host", "the host's name, which resolves and is in your X11 cookies"})
	} else {
		out = append(out, Option{"uts", "private", "you asked for a name of its own"}, Option{"hostname", p.Hostname, "you asked for it"})
	}
	pids := Option{"pids-limit", strconv.FormatInt(p.Pids, 10), "limits are the host's"}
	if p.Pids > 0 {
		pids.Why = "the limit of processes and threads that you asked for"
	}
	out = append(out,
		Option{"privileged", "", "sudo inside has your rights on the host, and no more"},
		Option{"security-opt", "label=disable", "SELinux would keep the toolbox out of your home"},
		Option{"no-hosts", "", "the table of names follows the host's"},
		Option{"dns", "none", "the resolver follows the host's"},
		pids,
	)
	out = append(out, p.limited("a process that takes more is killed, as you asked")...)
	if p.Groups {
		out = append(out, Option{"group-add", "keep-groups", "devices that your groups may use"})
	}
	return out
}

func (p *Plan) fixedIsolated() []Option {
	const processes = "it can neither see nor signal a process of yours"
	network := Option{"network", "slirp4netns:allow_host_loopback=false",
		"a network of its own: it reaches the world, but no service on this machine's loopback (with podman 5: pasta)"}
	if p.Network == "none" {
		network = Option{"network", "none", "no network, as you asked"}
	}
	out := []Option{
		{"userns", "keep-id", "files that you share with it stay yours"},
		{"pid", "private", processes},
		{"ipc", "private", processes},
		{"cgroupns", "private", processes},
		{"uts", "private", "it has a host name of its own"},
		{"hostname", p.Hostname, "it has a host name of its own"},
		network,
		{"cap-drop", strings.Join(p.CapDrop, ","), "root inside keeps those for installing packages; the user has none"},
		{"security-opt", "no-new-privileges", "no program inside gains rights, so no sudo: root is tbx run --root"},
		{"security-opt", "seccomp=" + p.Seccomp, "podman's own filter, without namespaces, mounts, keyrings, bpf, perf, io_uring, " +
			"sockets of other kinds than its network's, and 32-bit calls"},
		{"no-hosts", "", "it does not get the host's table of names"},
	}
	pids := Option{"pids-limit", strconv.FormatInt(p.Pids, 10), "a fork bomb inside stays inside"}
	if p.Pids == 0 {
		pids.Why = "this machine cannot limit the number of processes"
	}
	out = append(out, pids)
	out = append(out, p.limited("a process that takes more is killed, and not the host's programs")...)
	return append(out,
		Option{"log-driver", "k8s-file", "output of the first process, or of another in its name, goes to a file and not to your journal"},
		Option{"log-opt", "max-size=" + strconv.FormatInt(LogSize/1000, 10) + "kb", "the limit of that file"},
		Option{"shm-size", size(p.ShmSize), "shared memory of its own"},
		Option{"ulimit", "nofile=" + strconv.FormatInt(p.Nofile, 10), "open files of one process"})
}

// limited returns the limits of memory and processors; why is the reason of the memory
// limit.
func (p *Plan) limited(why string) []Option {
	var out []Option
	if p.Memory > 0 {
		out = append(out, Option{"memory", size(p.Memory), why}, Option{"memory-swap", size(p.Memory), "memory and swap together"})
	}
	if p.CPU > 0 {
		out = append(out, Option{"cpus", cpuText(p.CPU), "the limit of processors that you asked for"})
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
