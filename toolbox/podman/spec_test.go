//go:build remote

package podman

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/toolbox"
)

// sentFor says which option, or which part of the plan, a key of what is sent to podman
// is owed to. Nothing else is sent, so create --dry-run shows all of it.
var sentFor = map[string]string{
	"name": "plan", "command": "plan", "image": "plan", "labels": "plan", "env": "plan", "mounts": "plan", "volumes": "plan", "devices": "plan",
	"user": "user", "entrypoint": "entrypoint", "work_dir": "workdir", "image_volume_mode": "image-volume", "healthconfig": "no-healthcheck",
	"systemd": "systemd", "stop_signal": "stop-signal", "stop_timeout": "stop-timeout", "unsetenv": "unsetenv",
	"userns": "userns", "pidns": "pid", "ipcns": "ipc", "netns": "network", "network_options": "network", "cgroupns": "cgroupns", "utsns": "uts",
	"hostname": "hostname", "privileged": "privileged", "selinux_opts": "security-opt", "no_new_privileges": "security-opt", "seccomp_profile_path": "security-opt",
	"use_image_hosts": "no-hosts", "use_image_resolve_conf": "dns", "resource_limits": "pids-limit", "annotations": "group-add",
	"cap_drop": "cap-drop", "shm_size": "shm-size", "r_limits": "ulimit", "log_configuration": "log-driver",
}

func TestOnlyOptionsAreSent(t *testing.T) {
	base := toolbox.Plan{
		Name: "x", Image: "i", Command: []string{"c"}, User: "1:1", Env: []string{"A=b"}, ImageEnv: []string{"LD_PRELOAD=/x", "PATH=/opt/bin"},
		Labels: map[string]string{"a": "b"}, Devices: []string{"/dev/dri"}, Groups: true,
		Mounts: []toolbox.Mount{{Type: "bind", Source: "/a", Target: "/b"}, {Type: "volume", Source: "v", Target: "/v"}},
	}
	named, isolated := base, base
	named.Hostname = "box"
	isolated.Isolated, isolated.Network, isolated.Hostname = true, "private", "x"
	isolated.Pids, isolated.Memory, isolated.ShmSize, isolated.Nofile = 100, 1<<30, 1<<26, 1000
	offline := isolated
	offline.Network, offline.Memory, offline.Pids = "none", 0, 0
	for name, p := range map[string]*toolbox.Plan{"shared": &base, "with a host name": &named, "isolated": &isolated, "isolated, without a network": &offline} {
		for _, pasta := range []bool{false, true} {
			s, err := specOf(p, pasta)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			// The containers' defaults that the bindings fill in are what an empty generator has.
			sent, none := keys(t, s), keys(t, struct{}{})
			for key := range sent {
				flag, known := sentFor[key]
				asked := flag == "plan" || slices.ContainsFunc(p.Options(), func(o toolbox.Option) bool { return o.Flag == flag })
				if _, always := none[key]; !always && (!known || !asked) {
					t.Errorf("%s: podman is sent %s (%s), of which no option speaks", name, key, sent[key])
				}
			}
			for _, o := range p.Options() {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(sent)), func(key string) bool { return sentFor[key] == o.Flag }) && o.Flag != "memory" && o.Flag != "memory-swap" && o.Flag != "log-opt" {
					t.Errorf("%s: the option %s changes nothing of what is sent", name, o)
				}
			}
		}
	}
}

func TestUnknownOptionsAreRefused(t *testing.T) {
	s, err := specOf(&toolbox.Plan{}, false)
	if err != nil {
		t.Fatal(err)
	}
	r := &request{SpecGenerator: s, plan: &toolbox.Plan{}}
	for _, o := range []toolbox.Option{{Flag: "tty"}, {Flag: "pid", Value: "container:x"}, {Flag: "security-opt", Value: "apparmor=x"}, {Flag: "stop-signal", Value: "NONE"}, {Flag: "stop-timeout", Value: "soon"}} {
		if err := r.set(o); err == nil {
			t.Errorf("the option %s was taken", o)
		}
	}
}

// keys are those of v's JSON that hold something.
func keys(t *testing.T, v any) map[string]json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	for key, value := range out {
		if slices.Contains([]string{"{}", "null", `""`, "[]", "false"}, string(value)) {
			delete(out, key)
		}
	}
	return out
}
