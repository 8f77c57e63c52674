package toolbox

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// KeptCapabilities are the capabilities of an isolated toolbox's root within its own user
// namespace. Package managers need them to unpack, own and configure files and to change
// to a user of their own. The user has none.
func KeptCapabilities() []string {
	return []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT"}
}

// capabilityNames returns the names of capabilities(7), by number.
func capabilityNames() []string {
	return strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
		NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
		SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
		SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)
}

// dropped lists all capabilities of this host's kernel except the kept ones. With "all"
// dropped and some added, podman would give the added ones to the user as ambient. podman
// refuses a name that the kernel does not know.
func (h *Host) dropped() []string {
	all := capabilityNames()
	if h.LastCapability != nil {
		all = all[:min(len(all), h.LastCapability()+1)]
	}
	var out []string
	for _, name := range all {
		if !slices.Contains(KeptCapabilities(), name) {
			out = append(out, "CAP_"+name)
		}
	}
	slices.Sort(out)
	return out
}

// lastCapability returns the highest number that the kernel knows, proc(5).
func lastCapability() int {
	text, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	last, numErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || numErr != nil {
		return len(capabilityNames()) - 1
	}
	return last
}
