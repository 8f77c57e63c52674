package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// admin is the action of a verb that is the administrator's.
func admin(v Verb, description string) []Action {
	return []Action{{Name: string(v), Description: description, Anybody: "auth_admin", Active: "auth_admin_keep"}}
}

// anybody is the action of a verb that reads.
func anybody(v Verb, description string) []Action {
	return []Action{{Name: string(v), Description: description, Anybody: "yes", Active: "yes"}}
}

// someSystem is the argument that names a system of the host.
func someSystem(required string) Argument {
	return Argument{
		Place: "SYSTEM", Wants: "one system", Required: required, Hint: "give its index from tbx host status",
		field: targetField, kind: "deployment", form: indexForm,
	}
}

func packages(required string) Argument {
	return Argument{Place: "PACKAGE", Wants: "the names of packages", Required: required, field: packagesField, kind: "package name",
		form: packageForm}
}

// packagesOrFiles are names of packages, and files of packages on this machine.
func packagesOrFiles() Argument {
	a := packages("no package named")
	a.Wants, a.form, a.kind = "the names or files of packages", packageOrFileForm, "package name, or a package file by its absolute path"
	return a
}

// deletes is a switch of cleanup.
func deletes(part, what string) Argument {
	return Argument{
		Flag: part, Usage: "delete " + what, field: partsField, word: part,
		Choices: []string{"pending", "rollback", "base", "cache"}, kind: "part of pending, rollback, base, cache",
	}
}

// table is written once, for all that ranges over the verbs.
func table() []VerbInfo {
	rows := make([]VerbInfo, 0, 20)
	rows = append(rows, readers()...)
	rows = append(rows, movers()...)
	rows = append(rows, packagers()...)
	rows = append(rows, others()...)
	return append(rows, runners()...)
}

func readers() []VerbInfo {
	return []VerbInfo{
		{Verb: StatusVerb, Phrase: "show its systems", Reads: true, Actions: anybody(StatusVerb, "Look at the host")},
		{Verb: CheckVerb, Phrase: "look for an update", Reads: true, Actions: anybody(CheckVerb, "Look for a host update")},
	}
}

// upgrader is the row of upgrade.
func upgrader() VerbInfo {
	chosen := func(r Request) bool { return r.Target != "" || r.AllowDowngrade }
	return VerbInfo{
		Verb: Upgrade, Phrase: "upgrade", check: oneTime, verify: verifyUpgrade,
		Args: []Argument{
			{Flag: "to", Place: "VERSION", Usage: "this `VERSION` or digest instead of the newest", field: targetField, kind: "version or digest",
				form: targetForm},
			{Flag: "from", Place: "DIRECTORY", Usage: "once, from the repository in `DIRECTORY`, such as a medium; what the host follows stays",
				field: fromField, kind: "directory without ..", form: directoryForm},
			{Flag: "allow-downgrade", Usage: "also when it is older than the running system", field: downgradeField},
			{Flag: "download-only", Usage: "fetch it; what boots next stays", field: downloadField},
		},
		Actions: []Action{
			{Name: "upgrade", Description: "Update the host from the source that it follows", Anybody: "auth_admin", Active: "yes"},
			{Name: "upgrade-to", Description: "Bring the host to another version, also an older one", Message: "bring the host to another version",
				Anybody: "auth_admin", Active: "auth_admin_keep", Needs: chosen},
		},
		Help: Help{
			Command: "upgrade", Short: "Bring the host to the newest of what it follows",
			Long: `Fetch the newest of what the host follows and boot it next. The running system stays
as it is until the reboot, and remains as the way back.`,
			Example: `  tbx host upgrade
  tbx host upgrade --to 43.1 --allow-downgrade
  sudo tbx host upgrade --from /media/usb/repo
  tbx host upgrade --check || echo nothing new`,
		},
	}
}

// movers choose which system boots.
func movers() []VerbInfo {
	return []VerbInfo{
		upgrader(), {
			Verb: Rollback, Phrase: "go back", verify: verifyRollback, Args: []Argument{someSystem("")},
			Actions: admin(Rollback, "Boot an older host system"),
			Help: Help{
				Command: "rollback", Short: "Boot an older system next",
				Long: `Boot the previous system next, or the one named by index, version or id. Twice is
once: it is no toggle.`,
				Example: "  tbx host rollback\n  tbx host rollback 2",
			},
		}, {
			Verb: Pin, Phrase: "pin a system", verify: verifyPin, Args: []Argument{someSystem("which deployment")},
			Actions: admin(Pin, "Keep a host system"),
			Help:    Help{Command: "pin", Short: "Keep a system", Long: "Keep a system until it is unpinned.", Example: "  tbx host pin booted"},
		}, {
			Verb: Unpin, Phrase: "unpin a system", verify: verifyPin, Args: []Argument{someSystem("which deployment")},
			Actions: admin(Unpin, "No longer keep a host system"),
			Help: Help{Command: "unpin", Short: "No longer keep a system", Long: "Let a system go when newer ones come.",
				Example: "  tbx host unpin 2"},
		}, {
			Verb: Switch, Phrase: "follow something else", check: oneSource, verify: verifyFollows,
			Args: []Argument{{
				Place: "REF|IMAGE", Wants: "one ref or image", field: targetField, kind: "ref or image", form: targetForm,
			}, {
				Flag: "successor", Usage: "what the running system names at its end of life; that system is pinned first", field: successorField,
			}},
			Actions: admin(Switch, "Follow another source of host updates"),
			Help: Help{
				Command: "switch", Short: "Follow another ref or image",
				Long: `Follow another ref or image from now on: fetch it and boot it next. Nothing else
changes what the host follows.`,
				Example: "  tbx host switch quay.io/fedora/fedora-bootc:44\n  tbx host switch --successor",
			},
		}, {Verb: BuildVerb, Phrase: "build a system of its own", local: true, verify: verifyFollows},
	}
}

// oneTime: a repository for one time has its own newest, and is the host's own.
func oneTime(r Request) error {
	switch {
	case r.From == "":
		return nil
	case strings.Contains(r.From, ".."):
		return fail.New(fail.Usage, "upgrade: %q leads through a parent directory", r.From).Hint("name the directory without ..")
	case r.Target != "" || r.DownloadOnly:
		return fail.New(fail.Usage, "upgrade: --from takes the newest of that repository, and no --to or --download-only").
			Hint("leave those out")
	}
	return nil
}

// plainFiles refuses a path that leads through a parent directory.
func plainFiles(r Request) error {
	for _, name := range r.Packages {
		if strings.HasPrefix(name, "/") && strings.Contains(name, "..") {
			return fail.New(fail.Usage, "%s: %q leads through a parent directory", r.Verb, name).Hint("name the file without ..")
		}
	}
	return nil
}

// oneSource: something to follow, named here or by the running system.
func oneSource(r Request) error {
	switch {
	case strings.Contains(r.Target, ".."):
		return fail.New(fail.Usage, "%s: %q is not a ref or image", r.Verb, r.Target)
	case r.Target == "" && !r.Successor:
		return fail.New(fail.Usage, "%s: which ref or image", r.Verb).Hint("usage: tbx host switch REF|IMAGE")
	case r.Target != "" && r.Successor:
		return fail.New(fail.Usage, "%s: --successor names what to follow already", r.Verb).Hint("leave one of the two out")
	}
	return nil
}

// packagers change what is on top of the image.
func packagers() []VerbInfo {
	none := "no package named"
	return []VerbInfo{
		{
			Verb: Install, Phrase: "install packages", check: plainFiles, verify: verifyPackages, Args: []Argument{packagesOrFiles()},
			Actions: admin(Install, "Install packages on the host"),
			Help: Help{
				Command: "install", Short: "Install packages, in a toolbox or on the host",
				Long: `Install packages. In a toolbox nothing on the host changes, so that is offered
first; then layering on the host's system, where its updater can. Where it cannot,
and the host comes from an image, they are added to a Containerfile of your own,
~/.config/tbx/host/Containerfile, from which tbx host build makes the next system. A
PACKAGE may be an .rpm file, where the updater is rpm-ostree.`,
				Example: `  tbx host install htop
  tbx host install --on-host ./driver-1.2-3.x86_64.rpm
  tbx host install --on-host kernel-modules-extra
  tbx host install --in-image zsh`,
			},
		}, {
			Verb: Uninstall, Phrase: "remove packages", verify: verifyPackages, Args: []Argument{packages(none)},
			Actions: admin(Uninstall, "Remove packages from the host"),
			Help: Help{Command: "uninstall", Short: "Remove layered packages", Long: "Remove packages that were layered on the host's system.",
				Example: "  tbx host uninstall zsh"},
		}, {
			Verb: OverrideReplace, Phrase: "replace packages of the base", verify: verifyOverrides,
			Args: []Argument{packages(none), {
				Flag: "from", Place: "REPOSITORY", Usage: "the `REPOSITORY` to take them from", field: fromField, kind: "repository", form: indexForm,
			}},
			Actions: admin(OverrideReplace, "Replace packages of the host"),
			Help: Help{Command: "override replace", Short: "Replace packages of the base",
				Long:    "Replace packages of the base by those of a repository.",
				Example: "  tbx host override replace --from updates-testing kernel"},
		}, {
			Verb: OverrideRemove, Phrase: "remove packages of the base", verify: verifyOverrides, Args: []Argument{packages(none)},
			Actions: admin(OverrideRemove, "Remove base packages of the host"),
			Help: Help{Command: "override remove", Short: "Remove packages of the base", Long: "Remove packages of the base.",
				Example: "  tbx host override remove firefox"},
		}, {
			Verb: OverrideReset, Phrase: "reset packages of the base", verify: verifyOverrides, Args: []Argument{packages("")},
			Actions: admin(OverrideReset, "Undo package overrides of the host"),
			Help: Help{Command: "override reset", Short: "Take packages from the base again", Long: "Take packages, or all, from the base again.",
				Example: "  tbx host override reset firefox"},
		},
	}
}

func others() []VerbInfo {
	return []VerbInfo{
		{
			Verb: Kargs, Phrase: "change the kernel's arguments", verify: verifyKargs, check: someKarg,
			Args: []Argument{
				{Flag: "append", Place: "ARGUMENT", Usage: "add `ARGUMENT`, unless it is there", field: appendField, kind: "kernel argument",
					form: kargForm},
				{Flag: "delete", Place: "ARGUMENT", Usage: "remove `ARGUMENT`", field: deleteField, kind: "kernel argument", form: kargForm},
			},
			Actions: admin(Kargs, "Change kernel arguments of the host"),
			Help: Help{
				Command: "kargs", Short: "Show or change the kernel's arguments",
				Long: `Change the arguments of the kernel from the next boot on. Without a change, show those
of the next boot, or the running ones where its updater does not tell.`,
				Example: "  tbx host kargs\n  tbx host kargs --append quiet --delete rhgb",
			},
		}, {
			Verb: Initramfs, Phrase: "make an initramfs on this host", check: dracutWithEnable,
			Args: []Argument{
				{Place: "enable|disable", Wants: "enable or disable", Required: "neither enable nor disable", field: targetField,
					Choices: []string{"enable", "disable"}, kind: "choice of enable and disable"},
				{Flag: "arg", Place: "ARGUMENT", Usage: "with enable: give dracut this `ARGUMENT`; may be repeated", field: dracutField,
					kind: "argument of dracut that tbx passes on", form: dracutForm},
			},
			Actions: admin(Initramfs, "Change the initramfs of the host"),
			Help: Help{
				Command: "initramfs", Short: "Make the initramfs on this host, or take the system's own",
				Long: `Make the initramfs on this host at every update, with the modules and settings of its
/etc; or take the system's own again. Of dracut's arguments those are passed on that name
modules, drivers or file systems, and --hostonly and --no-hostonly.`,
				Example: "  tbx host initramfs enable --arg=--add=tpm2-tss\n  tbx host initramfs disable",
			},
		},
	}
}

// runners act on the running system, or on what waits and is left over.
func runners() []VerbInfo {
	return []VerbInfo{
		{
			Verb: ApplyLive, Phrase: "change the running system", Actions: admin(ApplyLive, "Change the running host system"),
			Help: Help{Command: "apply-live", Short: "Bring added packages into the running system",
				Long: "Bring what the next system adds into the running one, without a reboot.", Example: "  tbx host apply-live"},
		}, {
			Verb: Overlay, Phrase: "make /usr writable", Actions: admin(Overlay, "Make /usr of the host writable"),
			Help: Help{Command: "overlay", Short: "Make /usr writable until the next boot",
				Long: `Lay a writable layer over the running system's /usr. What is changed there is gone
after the next boot.`, Example: "  tbx host overlay"},
		}, {
			Verb: Cancel, Phrase: "withdraw a change", verify: verifyKeepsRunning, Actions: admin(Cancel, "Withdraw a host update"),
			Help: Help{Command: "cancel", Short: "Withdraw what waits for the next boot",
				Long: `Stop a running transaction, where the updater can, or withdraw what waits for the
next boot.`, Example: "  tbx host cancel"},
		}, {
			Verb: Cleanup, Phrase: "clean up", verify: verifyKeepsRunning,
			Args: []Argument{
				deletes("pending", "what waits for the next boot"), deletes("rollback", "the way back"),
				deletes("base", "temporary data"), deletes("cache", "repository metadata"),
			},
			Actions: admin(Cleanup, "Delete unused host data"),
			Help: Help{Command: "cleanup", Short: "Delete what the host does not need",
				Long: `Delete what the host does not need. The system that boots next is never left alone
before it has run.`, Example: "  tbx host cleanup\n  tbx host cleanup --pending"},
		}, {
			Verb: Reboot, Phrase: "restart the machine", Own: true, check: howToRestart,
			Args: []Argument{{Flag: "soft", Usage: "keep the firmware and the kernel running, where the next system allows it",
				field: softField},
				{Flag: "despite-users", Usage: "also while others are logged in; what inhibits it still counts", field: despiteField}},
			Actions: admin(Reboot, "Restart the machine"),
			Help: Help{Command: "reboot", Short: "Restart the machine", Long: "Restart the machine, unless a program inhibits it.",
				Example: "  tbx host reboot\n  tbx host reboot --soft"},
		}, {
			Verb: Counting, Phrase: "switch the counting of hosts", Own: true,
			Args: []Argument{{Place: "status|off|on", Wants: "status, off or on", field: targetField, Choices: []string{"status", "off", "on"},
				kind: "choice of status, off and on"}},
			Actions: admin(Counting, "Switch what the distribution counts hosts by"),
			Help: Help{Command: "counting", Short: "Show or switch what the distribution counts hosts by",
				Long: `Show what of this host's distribution tells its makers that one more host is there
(rpm-ostree's and dnf's Count Me, fedora-coreos-pinger), and switch it off or on. tbx
counts nobody, and nothing else depends on it.`,
				Example: "  tbx host counting status\n  tbx host counting off"},
		},
	}
}

func howToRestart(r Request) error {
	if r.Soft && r.DespiteUsers {
		return fail.New(fail.Usage, "reboot: --soft and --despite-users do not go together").Hint("leave one of them out")
	}
	return nil
}

func someKarg(r Request) error {
	if len(r.Append)+len(r.Delete) == 0 {
		return fail.New(fail.Usage, "kargs: nothing to append or delete")
	}
	for _, k := range slices.Concat(r.Append, r.Delete) {
		if name, _, _ := strings.Cut(k, "="); slices.Contains([]string{"ostree", "composefs", "BOOT_IMAGE", "initrd"}, name) {
			return fail.New(fail.Usage, "kargs: %s names the system that boots, and is set for each by its updater", k).
				Hint("to boot another system: tbx host rollback SYSTEM")
		}
	}
	return nil
}

func dracutWithEnable(r Request) error {
	if r.Target != "enable" && len(r.Dracut) > 0 {
		return fail.New(fail.Usage, "%s %s takes no arguments of dracut", r.Verb, r.Target)
	}
	return nil
}
