package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// kept are the capabilities that the root of an isolated toolbox has: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID
// SYS_CHROOT SETFCAP, by their numbers.
const kept = 1<<0 | 1<<1 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<18 | 1<<31

// status reads fields of /proc/self/status.
func status() map[string]string {
	out := map[string]string{}
	data, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			out[k] = strings.TrimSpace(v)
		}
	}
	return out
}

// where describes this process: who, with which rights, in which namespaces.
func where() string {
	s := status()
	host, _ := os.Hostname()
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	var spaces []string
	for kind := range config.Spaces {
		if isHost(kind) {
			spaces = append(spaces, kind)
		}
	}
	return fmt.Sprintf("%q uid %s caps %s/%s seccomp %s nnp %s host name %s cgroup %s; of the host's namespaces: %q",
		os.Args, s["Uid"], s["CapEff"], s["CapBnd"], s["Seccomp"], s["NoNewPrivs"], host, strings.TrimSpace(string(cgroup)), spaces)
}

func isHost(kind string) bool {
	now, err := os.Readlink("/proc/self/ns/" + kind)
	return err == nil && now == config.Spaces[kind]
}

// look reports rights and namespaces that no process of an isolated toolbox has, however it was started.
func look() {
	s := status()
	limit := uint64(0)
	if os.Geteuid() == 0 {
		limit = kept
	}
	for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		if caps, err := strconv.ParseUint(s[set], 16, 64); err != nil || caps&^limit != 0 {
			report(pack.Found, "capabilities: "+set, where())
		}
	}
	if caps, err := strconv.ParseUint(s["CapBnd"], 16, 64); err != nil || caps&^uint64(kept) != 0 {
		report(pack.Found, "capabilities: CapBnd", where())
	}
	if s["Seccomp"] != "2" {
		report(pack.Found, "no system call filter", where())
	}
	if s["NoNewPrivs"] != "1" {
		report(pack.Found, "new privileges", where())
	}
	for kind := range config.Spaces {
		if kind != "user" && kind != "time" && isHost(kind) {
			report(pack.Found, "the host's namespace: "+kind, where())
		}
	}
	if cgroup, err := os.ReadFile("/proc/self/cgroup"); err == nil && strings.Contains(string(cgroup), "0::/../") {
		report(pack.Found, "outside of the toolbox's cgroup", where())
	}
}
