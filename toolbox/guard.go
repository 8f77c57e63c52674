package toolbox

import (
	"crypto/rand"
	"os"
	"strconv"
	"syscall"

	"github.com/tbx-project/tbx/internal/companion"
	"github.com/tbx-project/tbx/toolbox/helper"
)

// guard starts a companion of podman exec, which this process becomes. It looks whether
// podman waits for ever for a file of the toolbox of that name, and ends what podman has
// started when podman ends first. It returns the variable by which that is known, for podman's environment.
func (m *Manager) guard(name string, terminal bool) (mark string, err error) {
	mark = helper.MarkVariable + "=" + rand.Text()
	kind := "pipes"
	if terminal {
		kind = "terminal"
	}
	args := []string{"tbx-box", "guard", strconv.Itoa(os.Getpid()), name, mark, kind}
	return mark, companion.Start(m.BoxFile, args, nil, os.Stderr, &syscall.SysProcAttr{Setsid: true})
}
