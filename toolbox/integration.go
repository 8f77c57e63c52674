package toolbox

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Integration is one thing that a toolbox shares with the host. All are on by
// default; tbx create --no-KEY turns one off.
type Integration struct {
	Key  string // in flags and specifications
	What string // for help texts, after "do not share"
}

// throughHostView says whether an integration works by links into the host view,
// and so not without it.
func throughHostView(key string) bool {
	switch key {
	case SystemBus, Timezone, HostServices, Media, Terminfo:
		return true
	}
	return false
}

// The integrations' keys.
const (
	Home         = "home"
	HostView     = "host"
	Tmp          = "tmp"
	Media        = "media"
	X11          = "x11"
	Wayland      = "wayland"
	Audio        = "audio"
	SessionBus   = "dbus"
	SystemBus    = "system-bus"
	SSHAgent     = "ssh-agent"
	GPGAgent     = "gpg-agent"
	Devices      = "devices"
	GPU          = "gpu"
	Groups       = "groups"
	Locale       = "locale"
	Timezone     = "timezone"
	DNS          = "dns"
	Terminfo     = "terminfo"
	Environment  = "environment"
	HostServices = "services"
	Bridge       = "bridge"
)

// Integrations lists them in the order in which people ask for them.
func Integrations() []Integration {
	return []Integration{
		{Home, "the home directory"},
		{HostView, "the host's files at /run/host and what is linked from there"},
		{Tmp, "/tmp"},
		{Media, "disks below /media, /mnt and /run/media"},
		{X11, "the X11 display"},
		{Wayland, "the Wayland display"},
		{Audio, "PipeWire and PulseAudio"},
		{SessionBus, "the D-Bus session bus"},
		{SystemBus, "the D-Bus system bus"},
		{SSHAgent, "the ssh agent"},
		{GPGAgent, "the gpg agent"},
		{Devices, "the devices in /dev"},
		{GPU, "NVIDIA's driver, where the host describes it by CDI"},
		{Groups, "the user's supplementary groups"},
		{Locale, "the locale"},
		{Timezone, "the time zone"},
		{DNS, "name resolution: resolv.conf and hosts"},
		{Terminfo, "the host's terminal descriptions"},
		{Environment, "the environment variables of the caller"},
		{HostServices, "sockets of the host's services (Avahi, CUPS, smart cards, Kerberos, journal)"},
		{Bridge, "host commands, which the host's policy allows (tbx host-exec)"},
	}
}

// checkIntegrations refuses a key that is none.
func checkIntegrations(keys []string) error {
	var known []string
	for _, i := range Integrations() {
		known = append(known, i.Key)
	}
	for _, k := range keys {
		if !slices.Contains(known, k) {
			return fail.New(fail.Usage, "there is no integration %q", k).Hint("there are: %s", strings.Join(known, ", "))
		}
	}
	return nil
}
