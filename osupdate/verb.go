package osupdate

import "strings"

// Verb is one operation on a host. The names are also the first argument of the root
// helper and the last part of the polkit action.
type Verb string

// The verbs. Their arguments and meaning are in their rows in [Table].
const (
	Upgrade         Verb = "upgrade"
	Rollback        Verb = "rollback"
	Pin             Verb = "pin"
	Unpin           Verb = "unpin"
	Switch          Verb = "switch"
	Install         Verb = "install"
	Uninstall       Verb = "uninstall"
	OverrideReplace Verb = "override-replace"
	OverrideRemove  Verb = "override-remove"
	OverrideReset   Verb = "override-reset"
	Kargs           Verb = "kargs"
	Initramfs       Verb = "initramfs"
	ApplyLive       Verb = "apply-live"
	Overlay         Verb = "overlay"
	Cancel          Verb = "cancel"
	Cleanup         Verb = "cleanup"
	Reboot          Verb = "reboot"
	Counting        Verb = "counting"
	BuildVerb       Verb = "build"  // in plans and in the history only: no order of an ordinary user
	StatusVerb      Verb = "status" // reads; root carries it out where an updater shows others nothing
	CheckVerb       Verb = "check"  // reads, as StatusVerb
)

// VerbInfo is the row of a verb: everything about it in one place. The commands, the root
// helper, polkit's policy, the documents and the shared suite range over the rows; an
// updater's way to carry out the verb is in its backend.
type VerbInfo struct {
	Verb    Verb
	Phrase  string // completes "UPDATER cannot …"
	Reads   bool   // changes nothing
	Own     bool   // the same with every updater: Host plans it, and no backend knows it
	Args    []Argument
	Actions []Action // polkit's, the last one whose Needs holds counts
	Help    Help

	local  bool                    // never crosses the border to root
	check  func(Request) error     // checks the arguments together; may be nil
	verify func(*comparison) error // checks afterwards that the host is as requested; may be nil
}

// Action is an action of polkit, dev.tbx.host.NAME.
type Action struct {
	Name        string
	Description string
	Message     string             // the reason of an authentication, if it is not Description
	Anybody     string             // allow_any and allow_inactive
	Active      string             // allow_active
	Needs       func(Request) bool // whether a request needs this one; nil: any
}

// Help is a verb's command.
type Help struct {
	Command string // "override replace"
	Short   string
	Long    string
	Example string
}

// Use is the command's usage line.
func (v *VerbInfo) Use() string {
	use := []string{v.Help.Command, "[flags]"}
	for _, a := range v.Args {
		place := a.Place
		switch {
		case a.Flag != "":
			continue
		case a.Many():
			place += "..."
		}
		if a.Required == "" {
			place = "[" + place + "]"
		}
		use = append(use, place)
	}
	return strings.Join(use, " ")
}

// Table returns every verb, in the order of the documents.
func Table() []VerbInfo { return table() }

// Verbs lists the changing verbs that root's helper accepts.
func Verbs() []Verb {
	var out []Verb
	for _, row := range table() {
		if !row.Reads && !row.local {
			out = append(out, row.Verb)
		}
	}
	return out
}

// Own says whether Host plans a verb itself, for every updater.
func Own(v Verb) bool {
	row := v.info()
	return row != nil && row.Own
}

// info is v's row, or nil.
func (v Verb) info() *VerbInfo {
	rows := table()
	for i := range rows {
		if rows[i].Verb == v {
			return &rows[i]
		}
	}
	return nil
}

// ActionOf returns the last part of the polkit action that a request needs.
func ActionOf(r Request) string {
	row := r.Verb.info()
	if row == nil {
		return string(r.Verb)
	}
	name := string(r.Verb)
	for _, a := range row.Actions {
		if a.Needs == nil || a.Needs(r) {
			name = a.Name
		}
	}
	return name
}

// phrase completes "UPDATER cannot …", for verbs and the other capabilities.
func phrase(c Capability) string {
	if row := Verb(c).info(); row != nil {
		return row.Phrase
	}
	switch c {
	case CanDiff:
		return "compare systems"
	case CanEtcDiff:
		return "compare /etc with its defaults"
	case CanLocalPackage:
		return "install a package from a file"
	case CanVersion:
		return "take an exact version"
	case CanDownload:
		return "download without applying"
	case CanDowngrade:
		return "be told to take an older system"
	case CanOneTime:
		return "upgrade once from another place than it follows"
	}
	return string(c)
}
