package toolbox

import (
	"os"
	"strconv"
	"syscall"

	"github.com/tbx-project/tbx/internal/companion"
)

// guard starts a companion that looks whether podman, which this process becomes, waits
// for ever for a file of the toolbox of that name. It ends with it, or soon.
func (m *Manager) guard(name string) error {
	args := []string{"tbx-box", "guard", strconv.Itoa(os.Getpid()), name}
	return companion.Start(m.BoxFile, args, nil, os.Stderr, &syscall.SysProcAttr{Setsid: true})
}
