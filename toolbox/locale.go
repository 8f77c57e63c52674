package toolbox

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// localesOf returns the locales that an environment asks for.
func localesOf(env []string) []string {
	var out []string
	for _, name := range integration.LocaleVariables() {
		if v := lookup(env, name); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// localeFiles are the files with the host's default locale: systemd's, and that of
// Debian's family.
var localeFiles = []string{"/etc/locale.conf", "/etc/default/locale"}

// hostLocales returns the locales of the host's sessions, for a session from cron or a
// unit, which has none of its own.
func hostLocales(root string) []string {
	var env []string
	for _, file := range localeFiles {
		data, err := os.ReadFile(root + file)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(data), "\n") {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				env = append(env, name+"="+strings.Trim(value, `"'`))
			}
		}
	}
	return localesOf(env)
}

// seeToLocales makes tbx generate a locale of the session that the toolbox may lack:
// another user may have started it with another locale. A session that begins without it
// reports that itself.
func (p *Session) seeToLocales(env []string) {
	r := p.Record
	if r.Isolated || r.Start == "" || slices.Contains(r.Without, integration.Locale) {
		return
	}
	missing := slices.DeleteFunc(localesOf(env), func(l string) bool {
		return slices.Contains([]string{"C", "POSIX", "C.UTF-8", "C.utf8"}, l)
	})
	if len(missing) == 0 {
		return
	}
	if r.Archive == archiveStamp(r.PID) { // else a package has made it anew since, with other locales
		missing = slices.DeleteFunc(missing, func(l string) bool { return slices.Contains(r.Locales, l) })
	}
	if len(missing) == 0 {
		return
	}
	m := p.manager
	m.stage("generating locale %s in toolbox %s", strings.Join(missing, ", "), r.Name)
	init := initRun{manager: m, name: Name(r.Name), log: io.Discard, config: boxinit.Config{LocalesOnly: true, Locales: missing}}
	if _, err := init.byJoining(context.Background(), r, nil, nil); err != nil {
		m.debug("locales of toolbox %s: %v", r.Name, err)
		return
	}
	m.remember(r, missing)
}

// archiveStamp identifies a state of a toolbox's locale archive, localedef(1); "" without
// one.
func archiveStamp(pid int) string {
	fi, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/root/usr/lib/locale/locale-archive")
	if err != nil {
		return ""
	}
	return strconv.FormatInt(fi.Size(), 10) + " " + strconv.FormatInt(fi.ModTime().UnixNano(), 10)
}

// remember records the locales that were generated.
func (m *Manager) remember(r *join.Record, locales []string) {
	if now := archiveStamp(r.PID); now != r.Archive {
		r.Archive, r.Locales = now, nil
	}
	r.Locales = append(r.Locales, locales...)
	if err := r.Save(m.Host.TbxRuntime()); err != nil {
		m.debug("record of toolbox %s: %v", r.Name, err)
	}
}
