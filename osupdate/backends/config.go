package backends

import (
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// Limits of patience. A download that shows no sign of life for idle is ended;
// another updater is waited for as long as a person would.
const (
	idle = 10 * time.Minute
	wait = 30 * time.Second
)

// System is the configuration of a tbx that runs as root, for a user's order or
// by itself. Nothing in it comes from the caller but the number of the user on
// whose behalf it works, which the history shows.
func System(user int, progress func(osupdate.Progress), newer osupdate.Newer) osupdate.Config {
	return osupdate.Config{
		Root: "/", Superuser: true, User: user, Progress: progress,
		Tools:    &osupdate.Tools{Dirs: osupdate.SystemDirs(), Env: []string{"HOME=/root"}, Idle: idle, Patient: wait},
		StateDir: "/var/lib/tbx/host", LockPath: "/run/tbx/host.lock", LockWait: wait,
		NewBackend: New("/var/cache/tbx/host", newer),
	}
}
