package boxinit

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// keptBySudo are session variables that also reach root's programs, as if root had logged
// in on the same terminal behind the same proxy: the description of the terminal, because
// root's programs would not know one that only the host describes, and the proxies.
// PROMPT_COMMAND and ZDOTDIR are kept if they are exactly tbx's, sudoers(5), "env_keep".
var keptBySudo = []string{
	"TERMINFO", "TERMINFO_DIRS", "COLORTERM", "NO_COLOR",
	"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "rsync_proxy",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "RSYNC_PROXY",
	"PROMPT_COMMAND=.*" + ShellDir + "/prompt.bash*",
}

// allowSudo writes a rule that names the user by number. A rule for a group would not
// match: a session keeps the host's groups and has none of the image's. A null password,
// as Toolbx sets, would depend on the image's PAM, and open every service that checks
// passwords on the host's network.
func (b *box) allowSudo() error {
	keep := keptBySudo
	if zsh := b.cfg.StartDir + "/zsh"; b.cfg.StartDir != "" && !strings.ContainsAny(zsh, " \t\"\\*?[]!,:=()#") {
		keep = append(slices.Clone(keep), "ZDOTDIR="+zsh)
	}
	rule := fmt.Sprintf("# Written by tbx at every start.\n#%[1]d ALL=(ALL:ALL) NOPASSWD: ALL\nDefaults:#%[1]d env_keep += \"%[2]s\"\n",
		b.cfg.User.UID, strings.Join(keep, " "))
	err := b.put(File{Path: "/etc/sudoers.d/tbx", Content: rule, Mode: 0o440})
	if _, derr := os.Stat(b.root + "/etc/doas.d"); derr == nil {
		err = errors.Join(err, b.put(File{Path: "/etc/doas.d/tbx.conf", Content: "permit nopass keepenv " + b.cfg.User.Name + "\n", Mode: 0o440}))
	}
	return errors.Join(err, b.rulesAreRead())
}

// rulesDir matches the line of sudoers(5) with the directory of rules, in today's and the
// former form.
var rulesDir = regexp.MustCompile(`(?m)^\s*[@#]includedir\s+"?/etc/sudoers\.d/?"?\s*$`)

// rulesAreRead returns an error if the image's sudo does not read the directory of the
// rule above, and so asks for a password that nobody has.
func (b *box) rulesAreRead() error {
	data, err := b.readThrough("/etc/sudoers")
	if err != nil || rulesDir.Match(data) {
		return nil // no sudo, or an odd one
	}
	return errors.New("sudo asks for a password here, because the image's /etc/sudoers does not include /etc/sudoers.d; as root " +
		"there is: tbx run --root")
}
