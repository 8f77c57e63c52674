// Package integration has the integrations: the parts of the host that a toolbox shares.
// Each is one record in one file; everything in tbx about integrations ranges over the
// table of them. A record follows from facts that the caller has gathered: this package
// reads no file, starts no program and changes nothing.
package integration

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// Integration is one part of the host that a toolbox shares. All are on by default; tbx
// create --no-KEY turns one off. Fields may be empty and functions nil: most integrations
// need two or three of them.
type Integration struct {
	Key  string // in flags and specifications
	What string // in help texts, after "do not share"
	How  string // how it is shared, as Markdown, in docs/integrations.md

	// NeedsHostView: it works by links into the host view, so not without HostView.
	NeedsHostView bool
	// Isolated: an isolated toolbox has it too. It is a value, or the policy guards it.
	Isolated bool

	// Variables are forwarded from the caller together with it, by name. All that no
	// integration names belong to Environment. Package variables has the meanings of
	// their values.
	Variables []string
	// HostDirs is added to the container's environment, and behind the value of a session.
	HostDirs HostDirs

	Mounts  func(*Facts) []Mount  // podman makes them when the toolbox is created
	View    func(*Facts) []Mount  // tbx attaches them at every start; otherwise podman makes them
	Devices func(*Facts) []string // paths and CDI names, podman-create(1)
	Runtime func(*Facts) []string // names in the user's runtime directory

	Follow []string // files of the host's /etc: the toolbox's follow them
	Copy   []string // files of the host's /etc: copied at every start
	Links  []string // paths of the host: links to them, at the same paths
	Binds  []string // directories of the host: bound, at the same paths
	Static []string // files of the host: copied at every start into a toolbox without HostView

	Setup func(*Facts, *boxinit.Config) // further work of the initialiser
}

// HostDirs are directories of the host view in a variable that lists directories.
type HostDirs struct {
	Variable string
	Value    string // begins with a colon: the empty part stands for the toolbox's own
}

// Mount is one mount of a toolbox.
type Mount struct {
	Type        string   `json:"type"` // bind, devpts or volume
	Source      string   `json:"source,omitempty"`
	Target      string   `json:"target"`
	Options     []string `json:"options,omitempty"`
	Reason      string   `json:"reason"`
	Integration string   `json:"integration,omitempty"` // key of the integration that wants it
}

// Overlay reports whether the mount shows a directory of the host and keeps its changes
// elsewhere, podman-create(1), --volume, option O.
func (m Mount) Overlay() bool { return m.Type == "bind" && slices.Contains(m.Options, "O") }

// Facts are the facts about the host and the specification that integrations depend on.
type Facts struct {
	Has      func(key string) bool // whether an integration is on
	Isolated bool

	Home       string // directory of the host that is the home
	OwnHome    bool   // Home is the home of this toolbox alone
	HomeAt     string // where the home is inside
	RuntimeDir string // the user's runtime directory on the host; empty: there is none
	BoxRuntime string // XDG_RUNTIME_DIR inside
	Bridge     string // directory of the bridge that an isolated toolbox has; empty: none

	Env     []string                            // of the user's session
	CDI     []string                            // kinds of devices that the host describes, such as nvidia.com/gpu
	Locales func() []string                     // locales that sessions may ask for
	Zone    func() (name string, inDebian bool) // the host's time zone, and whether it is in /etc/timezone
}

// table has the integrations in the order in which people ask for them.
var table = [...]*Integration{
	&home, &hostView, &tmp, &media, &x11, &wayland, &audio, &sessionBus, &systemBus, &sshAgent, &gpgAgent,
	&devices, &gpu, &groups, &locale, &timezone, &dns, &terminfo, &environment, &hostServices, &bridge,
}

// All returns the integrations in the order in which people ask for them.
func All() []Integration {
	out := make([]Integration, len(table))
	for n, i := range table {
		out[n] = *i
	}
	return out
}

// Check refuses a key that no integration has. The error is of kind fail.Usage.
func Check(keys []string) error {
	var known []string
	for _, i := range table {
		known = append(known, i.Key)
	}
	for _, k := range keys {
		if !slices.Contains(known, k) {
			return fail.New(fail.Usage, "there is no integration %q", k).Hint("there are: %s", strings.Join(known, ", "))
		}
	}
	return nil
}

// InIsolated reports whether an isolated toolbox can have the integration of that key.
func InIsolated(key string) bool {
	return slices.ContainsFunc(table[:], func(i *Integration) bool { return i.Key == key && i.Isolated })
}

// OfVariable returns the key of the integration that a variable is forwarded with.
func OfVariable(name string) string {
	for _, i := range table {
		if slices.Contains(i.Variables, name) {
			return i.Key
		}
	}
	return Environment
}
