package boxinit

// Config is the host's request to the initialiser, as JSON on standard input.
type Config struct {
	Name     string // the toolbox's name
	Mark     string // the toolbox's mark in a shell's prompt; empty: none
	StartDir string // where shells are led by ZDOTDIR, as seen inside; empty: nowhere
	Started  int64  // when the toolbox was started, in nanoseconds since 1970; 0: not known
	User     User
	Shells   []string // acceptable login shells, best first; the first that exists is the user's
	Hostname string   // must resolve inside the toolbox
	Locales  []string // names such as "de_DE.UTF-8" that sessions need

	LocalesOnly bool // only generate locales

	Leftovers string `json:",omitempty"` // the maker of the container that the toolbox was adopted from; empty: it was not
	GiveBack  bool   `json:",omitempty"` // restore that maker's leftovers, and do nothing else

	NoDevices   bool     // only the devices that every container has
	KeepDevices []string // beginnings of names below /dev that stay all the same

	NoSudo     bool   // nothing inside may gain rights, so write no rule for it
	HostTreeFD int    // an open detached mount of the host's root, to be attached at HostView; 0: none
	HostFiles  bool   // the host can be seen at HostView, by that descriptor or by podman
	HomeOnHost string // the user's real home, if it is mounted at the same path
	HostHome   string // where the host's /home points if it is a symbolic link, as on OSTree systems

	RuntimeDir   string   // XDG_RUNTIME_DIR inside; made for the user if podman did not mount it
	RuntimeLinks []string // entries of HostRuntime to link into RuntimeDir
	HostRuntime  string   // where podman mounted the host's runtime directory for those links

	Follow []string // files of the host's /etc to follow: resolv.conf, hosts, localtime
	Copy   []string // files of the host's /etc that never change, and that packages write to: machine-id
	Zone   string   // the name of the host's time zone; empty: not known, or not shared
	ZoneAt bool     // the host has it in /etc/timezone, as Debian has
	Links  []string // sockets and directories of the host to show at the same path
	Binds  []string // directories of the host to bind at the same path

	Shares  []string // directories mounted by podman, with parents that podman made
	Volumes []string // targets of the owner's --volume, also files, as seen here

	Bridge   string // directory of the bridge to the host, as seen here; empty: none
	HostExec bool   // root may call tbx too, although its PATH has no host commands

	Attach []Attach // the host's mounts below shared directories that podman did not show

	BoxFD  int    // an open detached mount of the versions of tbx-box, which are missing at BoxDir; 0: they are there
	Inside Inside // containers in the toolbox

	Files []File // small files to put in place
}

// Attach is a mount of the host to be shown at Path.
type Attach struct {
	Host, Path string
	FD         int // an open detached mount of it
}

// User is the host's user, who is also the toolbox's user.
type User struct {
	Name, Gecos, Home string
	RealHome          string // Home with the host's links resolved: where podman mounted it
	UID, GID          int
	Group             string // name of the primary group
}

// File is a file of tbx inside the toolbox.
type File struct {
	Path    string
	Content string
	Mode    uint32 // permission bits
	Needs   string // path that must exist for the file to make sense; empty: always
	Undo    bool   // remove Content from the file, where a former tbx put it, instead of writing it
}

// Event is one line of JSON on the initialiser's standard output.
type Event struct {
	Step    string   `json:"step,omitempty"`    // the step that begins, or that the event is about
	Warning string   `json:"warning,omitempty"` // the step was skipped, wholly or in part, with the reason
	Hint    string   `json:"hint,omitempty"`    // a remedy for a warning or an error
	Error   string   `json:"error,omitempty"`   // the toolbox cannot be used; the last event
	Ready   *Summary `json:"ready,omitempty"`   // the toolbox can be used; the last event
}

// Summary is the result of an initialisation for the host.
type Summary struct {
	Shell string `json:"shell"`           // the user's login shell inside; empty in an image without one
	Wrote string `json:"wrote,omitempty"` // tbx's entry in passwd(5), perhaps from an earlier start
	// Locales are those of Config.Locales that exist now, or cannot be made.
	Locales []string `json:"locales,omitempty"`
	Watch   bool     `json:"watch,omitempty"` // the first process must be told, by SIGHUP, to keep the hosts file up to date
}

// SystemPath has the directories of programs in every distribution, in the order of PATH.
var SystemPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// Fixed places inside a toolbox.
const (
	HostView = "/run/host"        // the host's file system
	StateDir = "/run/tbx/state"   // files of this start, owned by the user
	BoxDir   = "/run/tbx/box"     // the versions of tbx-box, read-only from the host
	ShellDir = BoxDir + "/shell"  // start files for shells, see package profile
	FirstDir = BoxDir + "/first"  // tbx-box by the names of commands that come before the toolbox's own
	Bridge   = "/run/tbx/host"    // a link to the directory of the bridge to the host
	Marker   = "/run/.toolboxenv" // the file that prompts and editors look for
	// MarkerToo is its name in Toolbx since Toolbx's second version.
	MarkerToo = "/run/.toolbxenv"
)
