package toolbox

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of start times in /proc, proc_pid_stat(5). The kernel uses a
// hundred a second on every architecture of podman.
const clockTick = 10 * time.Millisecond

// started converts a process's start time, in clock ticks after boot, to nanoseconds
// since 1970; 0 if unknown.
func started(ticks uint64) int64 {
	var boot unix.Timespec
	if ticks == 0 || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	up := time.Duration(boot.Nano())
	// A little earlier: files get the time of the last tick.
	return time.Now().Add(time.Duration(ticks)*clockTick - up - 2*clockTick).UnixNano()
}

// aZone is the name of a time zone, as tzfile(5) has them below its directory.
var aZone = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// zoneName returns the name of the host's time zone, or "", and whether the host also has
// it in /etc/timezone. The link /etc/localtime decides, localtime(5); the other counts
// only if that is a file. root is "" except in tests.
func zoneName(root string) (name string, inFile bool) {
	file := filepath.Join(root, "/etc/timezone")
	data, err := os.ReadFile(file)
	inFile = err == nil
	target, err := os.Readlink(filepath.Join(root, "/etc/localtime"))
	switch {
	case os.IsNotExist(err):
		return "Etc/UTC", inFile
	case err == nil:
		_, name, _ = strings.Cut(target, "zoneinfo/")
		name = strings.TrimPrefix(strings.TrimPrefix(name, "posix/"), "right/")
	default:
		name, _, _ = strings.Cut(strings.TrimSpace(string(data)), "\n")
	}
	if !aZone.MatchString(name) {
		return "", inFile
	}
	return name, inFile
}
