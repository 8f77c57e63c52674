package boxinit

import (
	"errors"
	"os"
	"strings"
)

// markFile has the toolbox's mark for prompts, for shells without a session's variables:
// root's after sudo, one of sshd, one that an editor started by podman exec. chrootFile
// is the file in which Debian's and Ubuntu's own start files look for it.
const (
	markFile   = StateDir + "/mark"
	chrootFile = "/etc/debian_chroot"
	chrootMark = StateDir + "/chroot"
)

// writeMark writes these files, or removes them if no mark is wanted.
func (b *box) writeMark() error {
	var failed []error
	for _, p := range []string{markFile, chrootMark} {
		if err := os.Remove(b.root + p); err != nil && !os.IsNotExist(err) {
			failed = append(failed, err)
		}
	}
	if b.cfg.Mark == "" {
		return errors.Join(failed...)
	}
	failed = append(failed, b.create(markFile, []byte(b.cfg.Mark+"\n"), 0o644))
	// Start files may put the name into a prompt, which the shell expands.
	if !strings.ContainsAny(b.cfg.Mark, "$`\\\"") {
		failed = append(failed, b.create(chrootMark, []byte(strings.TrimSpace(b.cfg.Mark)+"\n"), 0o644))
	}
	if b.exists("/etc/debian_version") && (!b.exists(chrootFile) || b.linkTarget(chrootFile) == chrootMark) {
		failed = append(failed, b.link(chrootFile, chrootMark))
	}
	return errors.Join(failed...)
}
