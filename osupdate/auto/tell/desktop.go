package tell

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// userKey is what is remembered of a notice that a user has seen.
func userKey(n Notice, uid int) string { return n.ID + " @" + strconv.Itoa(uid) }

// Desktop shows a notice to a user by the bus of that user's session, Desktop
// Notifications Specification 1.2. A bus takes only its own user, so busctl(1) is started
// as that one. busctl is its path; runDir has the users' runtime directories.
func Desktop(busctl, runDir string) func(ctx context.Context, uid int, n Notice) bool {
	return func(ctx context.Context, uid int, n Notice) bool {
		bus := fmt.Sprintf("%s/%d/bus", runDir, uid)
		var st syscall.Stat_t
		if busctl == "" || syscall.Stat(bus, &st) != nil || int(st.Uid) != uid {
			return false
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		const name, path = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
		body := markup(n.Text + "\n" + n.Do)
		cmd := exec.CommandContext(ctx, busctl, "--address=unix:path="+bus, "--quiet", "call", "--", name, path, name, "Notify",
			"susssasa{sv}i", "tbx", "0", "software-update-available", escape.Text(n.Title), body, "0", "1", "urgency", "y", "1", "-1")
		cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C.UTF-8", "XDG_RUNTIME_DIR=" + fmt.Sprintf("%s/%d", runDir, uid)}
		if os.Geteuid() != uid {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		}
		return cmd.Run() == nil
	}
}

// markup is text as a body has it, where some servers read marks of HTML.
func markup(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(escape.Text(line))
	}
	return strings.Join(lines, "\n")
}
