package integration

// Terminfo is the key of the host's descriptions of terminals.
const Terminfo = "terminfo"

// TerminfoDirs are the host's descriptions of terminals behind the image's own, for
// which the empty part stands, terminfo(5).
const TerminfoDirs = ":/run/host/etc/terminfo:/run/host/lib/terminfo:/run/host/usr/share/terminfo"

var terminfo = Integration{
	Key: Terminfo, What: "the host's terminal descriptions",
	How:           "`TERMINFO_DIRS` names those of the image first, then the host's (h)",
	NeedsHostView: true,
	Variables:     []string{"TERMINFO", "TERMINFO_DIRS"},
	HostDirs:      HostDirs{Variable: "TERMINFO_DIRS", Value: TerminfoDirs},
}
