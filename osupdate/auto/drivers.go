package auto

import (
	"os"
	"path/filepath"
	"strings"
)

// Other is another program that updates this host by itself.
type Other struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Yields bool   `json:"yields"` // a unit that tbx may mask; else the host is managed from elsewhere
}

// others are the programs that are known to drive updates by themselves.
func others() []Other {
	return []Other{
		{"rpm-ostree's automatic updates", "rpm-ostreed-automatic.timer", true},
		{"bootc's automatic updates", "bootc-fetch-apply-updates.timer", true},
		{"uupd", "uupd.timer", true},
		{"ublue-update", "ublue-update.timer", true},
		{"Zincati", "zincati.service", true},
		{"transactional-update", "transactional-update.timer", true},
		{"systemd-sysupdate", "systemd-sysupdate.timer", true},
		{"eos-autoupdater", "eos-autoupdater.timer", true},
		{"Flight Control", "flightctl-agent.service", false},
		{"the Machine Config Operator", "machine-config-daemon.service", false},
	}
}

// Others are those whose units are enabled below root, by the links that systemd goes
// by, systemd.unit(5).
func Others(root string) []Other {
	var out []Other
	for _, o := range others() {
		if Enabled(root, o.Unit) && (o.Unit != "rpm-ostreed-automatic.timer" || rpmOSTreeActs(root)) {
			out = append(out, o)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "etc/machine-config-daemon")); err == nil {
		out = append(out, Other{Name: "the Machine Config Operator", Unit: "/etc/machine-config-daemon"})
	}
	return out
}

// unitDirs are where units stand, the first one winning.
func unitDirs() []string {
	return []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}
}

// UnitFile is where the unit stands below root; empty where it is not there, or masked.
func UnitFile(root, unit string) string {
	for _, dir := range unitDirs() {
		path := filepath.Join(root, dir, unit)
		if to, err := os.Readlink(path); err == nil && to == "/dev/null" {
			return ""
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Enabled says whether something starts the unit.
func Enabled(root, unit string) bool {
	if UnitFile(root, unit) == "" {
		return false
	}
	for _, dir := range unitDirs() {
		for _, kind := range []string{"wants", "requires"} {
			found, err := filepath.Glob(filepath.Join(root, dir, "*."+kind, unit))
			if err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}

// rpmOSTreeActs says whether rpm-ostree's timer does more than look, rpm-ostreed.conf(5):
// AutomaticUpdatePolicy is none, check, stage or apply.
func rpmOSTreeActs(root string) bool {
	data, err := os.ReadFile(filepath.Join(root, "etc/rpm-ostreed.conf"))
	if err != nil {
		return false
	}
	policy := ""
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "AutomaticUpdatePolicy="); ok {
			policy = strings.TrimSpace(v)
		}
	}
	return policy == "stage" || policy == "apply"
}
