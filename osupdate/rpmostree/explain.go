package rpmostree

import (
	"slices"

	"github.com/tbx-project/tbx/osupdate"
)

// Explain knows rpm-ostree's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.RPMOSTree, rules(), te)
}

// rules are the words of rpm-ostree 2026.2, recorded, and of its sources.
func rules() []osupdate.Rule { return slices.Concat(daemonRules(), packageRules(), sourceRules()) }

// daemonRules are of its daemon, and of what its systems allow.
func daemonRules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`(?:Transaction in progress|System transaction in progress|Transaction already in progress): ?(.*)`, osupdate.ErrBusy,
			"another transaction runs: %s", "try again when it is done, or stop it: tbx host cancel"),
		osupdate.NewRule(`System transaction in progress|Code26|Reboot initiated`, osupdate.ErrBusy,
			"another program works on this host", "try again when it is done"),
		osupdate.NewRule(`Unit (rpm-ostreed\.service) is masked`, osupdate.ErrUnsupported,
			"its daemon cannot be started: %s is masked", "systemctl unmask rpm-ostreed.service"),
		osupdate.NewRule(`Bus owner changed, aborting`, osupdate.ErrBackend, "its daemon crashed",
			"see why: journalctl -b -u rpm-ostreed; then try again"),
		osupdate.NewRule(`This system was not booted via libostree`, osupdate.ErrNotImage,
			"this system was not booted by OSTree", "see what tbx found: tbx host status --verbose"),
		osupdate.NewRule(`setpriv: failed to parse reuid: '([^']+)'`, osupdate.ErrBackend,
			"its daemon needs the account %s, which this system does not have", "make it with systemd-sysusers, or take a system that has it"),
		osupdate.NoHostImage(),
		osupdate.NewRule(`OS operation (\S+) not allowed for user`, osupdate.ErrPermission,
			"the operation %s is not allowed for this user", "polkit decides; run it in a session that can ask for a password, or with sudo"),
		osupdate.NewRule(`Updates and deployments are driven by (.*?)(?:\n|$)`, osupdate.ErrManaged,
			"updates of this host are driven by %s", "leave it to that agent, or stop its unit first"),
		osupdate.NewRule(`(?i)packages would be ((?:removed|changed): \d+), allow replacement`, osupdate.ErrUnsupported,
			"the next system does not only add packages (%s), and the running one is not replaced", "reboot into it: tbx host reboot"),
	}
}

func packageRules() []osupdate.Rule {
	const (
		search = "check the name: rpm-ostree search WORD"
		local  = "see which with --verbose; install it in a toolbox instead and remove the layer: tbx host uninstall PACKAGE"
	)
	return []osupdate.Rule{
		osupdate.NewRule(`nothing provides (\S+)`, osupdate.ErrConflict,
			"no repository has %s, which a package needs", "see which with --verbose; install it in a toolbox instead: tbx enter"),
		osupdate.NewRule(`(?i)conflicts with (\S+)`, osupdate.ErrConflict, "a package conflicts with %s", local),
		osupdate.NewRule(`(?i)could not depsolve transaction|forbidden base package replacements|cannot install both`, osupdate.ErrConflict,
			"the packages do not fit together with the base", local),
		osupdate.NewRule(`(?i)packages not found: (.*)`, osupdate.ErrNotFound, "no repository has %s", search),
		osupdate.NewRule(`No matches for '([^']+)' in repo`, osupdate.ErrNotFound, "that repository does not have %s",
			"see the repositories in /etc/yum.repos.d"),
		osupdate.NewRule(`Package(?:/capability)? ["']([^"']+)["'] (?:not found|is not currently requested)`, osupdate.ErrNotFound,
			"%s is not there", "see what is layered and in the base: rpm-ostree status, rpm -q NAME"),
		osupdate.NewRule(`LockLayering|Layering is disabled`, osupdate.ErrManaged,
			"the administrator has locked layering (LockLayering in /etc/rpm-ostreed.conf)", "install it in a toolbox instead: tbx create"),
		osupdate.NewRule(`Running (%\w+ for \S+?): .*exited with code`, osupdate.ErrConflict,
			"a package's script failed: %s", "nothing was changed; see what it said: journalctl -t rpm-ostree"),
	}
}

// sourceRules are of what the host follows, and of the systems that it has.
func sourceRules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`Version (\S+) not found in`, osupdate.ErrNotFound, "what the host follows has no version %s",
			"see the versions in: ostree log REF"),
		osupdate.NewRule(`Checksum ([0-9a-f]{12})[0-9a-f]* not found in`, osupdate.ErrNotFound, "what the host follows has no commit %s",
			"see the commits in: ostree log REF"),
		osupdate.NewRule(`No such branch '([^']*)'`, osupdate.ErrNotFound, "the remote has no ref %s",
			"list what it has: ostree remote refs REMOTE"),
		osupdate.NewRule(`Remote "?([^"\s]+)"? not found`, osupdate.ErrNotFound, "there is no remote %s", "list them: ostree remote list"),
		osupdate.NewRule(`(?i)manifest unknown|name unknown`, osupdate.ErrNotFound, "the registry does not have that image",
			"check its name and tag"),
		osupdate.NewRule(`Invalid refspec (\S+)|invalid reference format`, osupdate.ErrNotFound, "%s is no ref and no image",
			"a ref is REMOTE:REF; an image needs its scheme, as in ostree-unverified-registry:IMAGE"),
		osupdate.NewRule(`(?i)chronologically older|would be a downgrade|Downgrade is forbidden`, osupdate.ErrDowngrade,
			"that system is older than the running one", "take it anyway with --allow-downgrade"),
		osupdate.NewRule(`Pinned to specific (container image digest|commit)`, osupdate.ErrUnsupported,
			"the host follows one image or commit (%s) and would never see an update", "choose what to follow: tbx host switch REF|IMAGE"),
		osupdate.NewRule(`No rollback deployment found`, osupdate.ErrNoRollback,
			"there is no other system to go back to", "keep one by pinning before the next upgrade: tbx host pin booted"),
		osupdate.NewRule(`Staged deployment \(remove with`, osupdate.ErrNoRollback,
			"an update is staged and in the way", "drop it first: tbx host cancel"),
		osupdate.NewRule(`(?i)corrupted \w+ object`, osupdate.ErrCorrupt,
			"an object of the repository is damaged",
			"find the extent with ostree fsck; with --delete it removes damaged objects, and an upgrade fetches them again"),
	}
}
