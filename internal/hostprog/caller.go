package hostprog

import (
	"os"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/userns"
)

// CheckCaller returns an error for a caller in a user namespace without ids for
// containers. There podman can neither join the namespace of its containers nor make
// another, and believes that its own processes have ended.
func CheckCaller() error {
	subuid, _ := os.ReadFile("/etc/subuid") // the ids may come from elsewhere
	if !userns.LacksIDs(userns.Own(), string(subuid), Account(), os.Getuid()) {
		return nil
	}
	return fail.New(fail.Unable,
		"this process is in a user namespace of its own, which has no ids for containers: podman cannot be used from here").
		Hint("call tbx from outside, for example by: systemd-run --user --wait --pipe tbx ...").
		Hint("in units of a user's manager PrivateTmp=, PrivateUsers=, ProtectSystem= and the like make such a namespace; " +
			"so do bubblewrap and unshare")
}
