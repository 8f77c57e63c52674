package boxinit

import (
	"cmp"
	"strconv"
	"strings"
)

// shellFile has the login shell that tbx last wrote into the user's line of passwd(5). If
// the line has another one, it was changed inside, by chsh(1) or usermod(8).
const shellFile = "/var/lib/tbx/shell"

// chooseShell returns the shell for the user's line of passwd(5): the one that was chosen
// inside, if that is a program, else the first acceptable shell, which it records.
func (b *box) chooseShell() (string, error) {
	b.ownShell = ""
	wrote, err := b.read(shellFile)
	b.wrote = strings.TrimSpace(string(wrote))
	if now := b.passwdShell(); err == nil && now != b.wrote && b.runnable(now) {
		b.ownShell = now
		return now, nil
	}
	shell := cmp.Or(b.loginShell(), "/bin/sh") // the field must not be empty
	b.wrote = shell
	return shell, b.put(File{Path: shellFile, Content: shell + "\n", Mode: 0o644})
}

// passwdShell returns the shell in the user's line of passwd(5), or "".
func (b *box) passwdShell() string { return b.account()[6] }

// realName returns the real name for the user's line of passwd(5): the present one if tbx
// or chfn(1) wrote it, else the host's.
func (b *box) realName() string {
	if _, err := b.stat(shellFile); err == nil {
		return cmp.Or(b.account()[4], b.cfg.User.Gecos)
	}
	return b.cfg.User.Gecos
}

// account returns the user's line of passwd(5), or seven empty fields.
func (b *box) account() []string {
	data, _ := b.readThrough("/etc/passwd")
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) == 7 && f[0] == b.cfg.User.Name && f[2] == strconv.Itoa(b.cfg.User.UID) {
			return f
		}
	}
	return make([]string, 7)
}

// loginShell returns the first acceptable shell that exists inside, or "".
func (b *box) loginShell() string {
	for _, sh := range b.cfg.Shells {
		if b.runnable(sh) {
			return sh
		}
	}
	return ""
}

func (b *box) runnable(p string) bool {
	if p == "" {
		return false
	}
	fi, err := b.stat(p)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
