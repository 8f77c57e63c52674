package osupdate

// Capability is an ability of a backend other than a verb.
type Capability string

// The capabilities besides the changing verbs, which are capabilities of the same name.
const (
	CanCheck        Capability = "check"           // says whether an update exists
	CanCheckAsUser  Capability = "check-user"      // ... without root
	CanStatusAsUser Capability = "status-user"     // shows its state without root
	CanVersion      Capability = "version"         // upgrade to an exact version or digest
	CanDownload     Capability = "download"        // download without applying
	CanStage        Capability = "stage"           // the change is made at shutdown
	CanDiff         Capability = "diff"            // what two systems differ in
	CanEtcDiff      Capability = "etc-diff"        // what the machine changed in /etc
	CanPolkit       Capability = "polkit"          // the updater asks polkit itself
	CanDowngrade    Capability = "downgrade"       // refuses an older system unless told
	CanLocalPackage Capability = "local-package"   // installs a package from a file
	CanOneTime      Capability = "one-time-source" // upgrades once from another place than it follows
	CanUpgradeInRun Capability = "in-run"          // changes the other root while running
)

// Capabilities lists what a backend can do here and, for what it cannot, the reason and
// an alternative.
type Capabilities struct {
	Has   []Capability          `json:"has"`
	Lacks map[Capability]string `json:"lacks,omitempty"`
}

// Can reports whether c is among them.
func (c Capabilities) Can(want Capability) bool {
	for _, has := range c.Has {
		if has == want {
			return true
		}
	}
	return false
}

// Refuses is ErrUnsupported where r asks an upgrade for an exact version, or for a
// download alone, that is not among them.
func (c Capabilities) Refuses(kind Kind, r Request) error {
	switch {
	case r.Target != "" && !c.Can(CanVersion):
		return Unsupported(kind, Verb(CanVersion), c.Lacks[CanVersion])
	case r.DownloadOnly && !c.Can(CanDownload):
		return Unsupported(kind, Verb(CanDownload), c.Lacks[CanDownload])
	}
	return nil
}
