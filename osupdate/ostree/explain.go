package ostree

import "github.com/tbx-project/tbx/osupdate"

// Explain knows ostree's texts, recorded in testdata/errors.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.OSTree, rules(), te)
}

func rules() []osupdate.Rule {
	return []osupdate.Rule{
		osupdate.NewRule(`chronologically older`, osupdate.ErrDowngrade,
			"what the host follows is older than the running system", "take it anyway: tbx host upgrade --allow-downgrade"),
		osupdate.NewRule(`During /etc merge: .*?'([^']+)'`, osupdate.ErrEtcMerge,
			"the file %s in /etc was changed here and became something else in the update",
			"move your copy of it away, upgrade, and put your change back"),
		osupdate.NewRule(`During /etc merge`, osupdate.ErrEtcMerge,
			"/etc cannot be merged", "see what was changed here: tbx host etc-diff"),
		osupdate.NewRule(`(?i)corrupted \w+ object|File header size|while decompressing|Invalid checksum|Commit .* has invalid`,
			osupdate.ErrCorrupt,
			"an object of the repository is damaged",
			"find the extent with ostree fsck; with --delete it removes damaged objects, and an upgrade fetches them again"),
		osupdate.NewRule(`No such metadata object ([0-9a-f]{12})`, osupdate.ErrCorrupt,
			"commit %s is not in the repository", "it was pruned or never pulled: tbx host upgrade fetches what is missing"),
		osupdate.NewRule(`Requested signature type is not implemented`, osupdate.ErrSignature,
			"this ostree cannot verify the signatures that the remote demands", "nothing was changed; a newer ostree is needed for ed25519"),
		osupdate.NewRule(`Out of range deployment index (\d+)`, osupdate.ErrNotFound,
			"there is no deployment %s", "see the indexes in: tbx host status"),
		osupdate.NewRule(`Refspec '([^']*)' not found`, osupdate.ErrNotFound,
			"there is no ref %s", "list what the remote has: ostree remote refs REMOTE"),
		osupdate.NewRule(`No such branch '([^']*)'`, osupdate.ErrNotFound,
			"the remote has no ref %s", "list what it has: ostree remote refs REMOTE"),
		osupdate.NewRule(`Remote "?([^"\s]+)"? not found`, osupdate.ErrNotFound,
			"there is no remote %s", "list them: ostree remote list"),
		osupdate.NewRule(`(?i)Failed to find kernel|No kernel found|kernel .*not found in tree`, osupdate.ErrNotFound,
			"the tree has no kernel to boot", "put one into it: usr/lib/modules/VERSION/vmlinuz"),
		osupdate.NewRule(`(?m)loading sysroot: .*opendir|^error: opendir\(`, osupdate.ErrNotFound,
			"there is no OSTree sysroot", "name a directory that has ostree/repo in it; make one with: ostree admin init-fs DIR"),
		osupdate.NewRule(`No previous deployment for OS '([^']*)'`, osupdate.ErrNotFound,
			"there is no system of the stateroot %s", "see the stateroots in ostree/deploy, and leave --os out where there is one"),
		osupdate.NewRule(`opening repo: opendir\(`, osupdate.ErrNetwork,
			"the source of updates is not there", "a file:// remote must be mounted first; the host is unchanged"),
		osupdate.NewRule(`Not currently booted into an OSTree system`, osupdate.ErrUnsupported,
			"this is not the running system", "name the sysroot and its stateroot: --sysroot, --os"),
	}
}
