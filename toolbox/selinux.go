package toolbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/selinux"
)

// orSELinux returns err, or its cause: a policy that does not let an isolated toolbox use
// the pipes that podman's monitor gives its commands. Then a command gets no input, and
// its output is lost.
func (m *Manager) orSELinux(b *Box, err error) error {
	if !b.Spec.Isolated || !selinux.Enforcing() {
		return err
	}
	box, pipes := selinux.Label(b.PID), selinux.Label(parent(b.PID))
	allowed, unknown := selinux.Allows(box, pipes, "fifo_file", "write")
	if unknown != nil || allowed {
		return err
	}
	m.debug("toolbox %s: %v", b.Name, err)
	return fail.New(fail.Unable, "toolbox %s cannot be set up: the policy of SELinux keeps it (%s) from the pipes of podman's "+
		"monitor (%s)", b.Name, selinux.Type(box), selinux.Type(pipes)).
		Hint("load the policy module that comes with tbx: sudo semodule -i %s", policyModule()).
		Hint("then restart it: tbx stop %s && tbx enter %s", b.Name, b.Name)
}

// parent returns the parent of a process: of a container's first one, its monitor.
func parent(pid int) int {
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ") // a name may contain one too; then there is no number
	if f := strings.Fields(rest); len(f) > 1 {
		n, _ := strconv.Atoi(f[1])
		return n
	}
	return 0
}

// policyModule returns where packages and make install put tbx.cil.
func policyModule() string {
	const name = "share/selinux/packages/tbx.cil"
	if self, err := os.Executable(); err == nil {
		for _, up := range []string{"..", "../.."} { // of PREFIX/bin, PREFIX/libexec/tbx
			path := filepath.Join(filepath.Dir(self), up, name)
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return "/usr/" + name
}
