package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/toolbox"
)

// ExitCode is one exit code of tbx. A code means the same in every command that has it.
// The manual pages and docs/exit-codes.md are generated from this table.
type ExitCode struct {
	Code  int
	Of    []ExitGroup // the commands that have it
	Means string
	Kinds []ExitKind // errors with this code
}

// ExitKind is a kind of error. Means is empty if the code's own text is enough.
type ExitKind struct {
	Err   error // a kind of package fail or osupdate
	Means string
}

// ExitGroup is a group of commands with the same exit codes.
type ExitGroup string

// The groups. A command is in the group of its parent unless it has its own.
const (
	ExitGeneral    ExitGroup = "general"
	ExitHost       ExitGroup = "host"        // tbx host and its subcommands
	ExitSession    ExitGroup = "session"     // run, enter and host-exec, which end with a command's code
	ExitPolicyTest ExitGroup = "policy test" // tbx policy test
	ExitPlan       ExitGroup = "plan"        // tbx plan
)

// The exit codes.
const (
	ExitDone        = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitExists      = 4
	ExitUnable      = 5
	ExitNeedAnswer  = 6
	ExitUnsupported = 16
	ExitDeny        = 20
	ExitAsk         = 21
	ExitChanges     = 23
	ExitUnchanged   = 77
	ExitInterrupt   = 130
)

// ExitCodes returns the table, in the order of the codes. 69 and 75 are
// EX_UNAVAILABLE and EX_TEMPFAIL of sysexits(3); 77 is rpm-ostree's.
func ExitCodes() []ExitCode {
	all := []ExitGroup{ExitGeneral, ExitHost, ExitSession, ExitPolicyTest, ExitPlan}
	own := []ExitGroup{ExitGeneral, ExitHost, ExitPolicyTest, ExitPlan} // not those of a command that tbx runs
	return slices.Concat([]ExitCode{
		{ExitDone, all, "done", nil},
		{ExitFailure, own, "failed; the message on standard error says what and why", []ExitKind{
			{osupdate.ErrBackend, "the updater failed in a way that tbx does not know"},
			{osupdate.ErrLocalMods, "bootc refuses a host that rpm-ostree changed, and rpm-ostree is not there"},
			{osupdate.ErrBadOutput, "the updater's answer cannot be read"},
		}},
		{ExitUsage, own,
			"wrong usage: an unknown command or flag, an impossible name, or an error in a configuration file", []ExitKind{{Err: fail.Usage}}},
		{ExitNotFound, own, "the named thing is not there, or not in the registry", []ExitKind{
			{Err: fail.NotFound},
			{osupdate.ErrNotFound, "the system, ref, image or package is not there"},
		}},
		{ExitExists, []ExitGroup{ExitGeneral, ExitPlan},
			"a toolbox or container of that name exists, or a key of that scope", []ExitKind{{Err: fail.Exists}}},
		{ExitUnable, own, "this machine cannot do it until its owner changes something; the hint says what", []ExitKind{{Err: fail.Unable}}},
		{ExitNeedAnswer, []ExitGroup{ExitGeneral, ExitHost},
			"there is a question and no terminal to ask on; the hint says how to answer beforehand",
			[]ExitKind{{Err: fail.NeedAnswer}}},
	}, hostCodes(), []ExitCode{
		{ExitDeny, []ExitGroup{ExitPolicyTest}, "the policy denies it", nil},
		{ExitAsk, []ExitGroup{ExitPolicyTest}, "the policy asks the user", nil},
		{22, []ExitGroup{ExitHost},
			"a program or another session keeps the machine from being restarted", []ExitKind{{Err: osupdate.ErrInhibited}}},
		{ExitChanges, []ExitGroup{ExitPlan}, "with --exit-code only: there is something to do", nil},
		{69, []ExitGroup{ExitHost}, "the source of updates cannot be reached", []ExitKind{
			{osupdate.ErrNetwork, "the source of updates cannot be reached"},
			{osupdate.ErrTimeout, "the updater gave no sign of life"},
		}},
		{75, []ExitGroup{ExitHost}, "another program works on the host; try again", []ExitKind{{Err: osupdate.ErrBusy}}},
		{ExitUnchanged, []ExitGroup{ExitHost}, "with --check or --exit-unchanged only: there is nothing to do", nil},
		{toolbox.ExitFailed, []ExitGroup{ExitSession}, "tbx itself failed, or the bridge", nil},
		{toolbox.ExitDenied, []ExitGroup{ExitSession}, "the command exists and cannot be run, or the policy denies it", nil},
		{toolbox.ExitNotFound, []ExitGroup{ExitSession}, "there is no such command", nil},
		{ExitInterrupt, all, "interrupted by Ctrl-C, TERM or HUP, or the answer to a question was no", []ExitKind{{Err: fail.Canceled}}},
	})
}

// hostCodes are the codes for the kinds of failure of an update.
func hostCodes() []ExitCode {
	host := []ExitGroup{ExitHost}
	one := func(code int, kind error, means string) ExitCode {
		return ExitCode{code, host, means, []ExitKind{{Err: kind}}}
	}
	return []ExitCode{
		one(7, osupdate.ErrConflict, "layered packages do not fit the new base"),
		one(8, osupdate.ErrDowngrade, "the image or branch that the host follows is older than the running system"),
		one(9, osupdate.ErrSpace, "a file system is full"),
		one(10, osupdate.ErrEtcMerge, "a file in /etc was changed here and in the update, incompatibly"),
		one(11, osupdate.ErrFinalize, "the update could not be finished at shutdown"),
		one(12, osupdate.ErrNoRollback, "there is no other system to go back to"),
		one(13, osupdate.ErrCorrupt, "an object of the repository is damaged"),
		one(14, osupdate.ErrUnverified, "the updater reported success, and the host is not as requested"),
		one(15, osupdate.ErrUnsafe, "only a system that has never booted would be left on the disk"),
		{ExitUnsupported, host, "this host, or its updater, cannot do it at all", []ExitKind{
			{osupdate.ErrNotImage, "this host has no updater with bootable systems"},
			{osupdate.ErrInContainer, "this is not the host"},
			{osupdate.ErrUnsupported, "the updater has no such verb; the hint says what to use"},
		}},
		one(17, osupdate.ErrManaged, "another agent manages the updates of this host"),
		one(18, osupdate.ErrPermission, "this user may not do it"),
		one(19, osupdate.ErrSignature, "the update is not signed by a key that this host trusts"),
	}
}

// ExitCodesOf returns the codes of a command, without those of the program that it runs.
func ExitCodesOf(cmd *cobra.Command) []ExitCode {
	group := ExitGroupOf(cmd)
	return slices.DeleteFunc(ExitCodes(), func(c ExitCode) bool { return !slices.Contains(c.Of, group) })
}

const exitGroup = "tbx-exit-group"

// SetExitGroup puts a command and its subcommands into a group.
func SetExitGroup(cmd *cobra.Command, group ExitGroup) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[exitGroup] = string(group)
}

// ExitGroupOf returns the group of a command.
func ExitGroupOf(cmd *cobra.Command) ExitGroup {
	for ; cmd != nil; cmd = cmd.Parent() {
		if group := cmd.Annotations[exitGroup]; group != "" {
			return ExitGroup(group)
		}
	}
	return ExitGeneral
}
