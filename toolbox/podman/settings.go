//go:build remote

package podman

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/fail"
)

// brokenSettings finds a settings file of podman that is not TOML, or that podman
// refused; said is podman's message. It returns nil if there is none.
func brokenSettings(said string) error {
	for _, file := range settingsFiles() {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // missing, or podman reports it
		}
		var parse toml.ParseError
		if _, err := toml.Decode(string(data), &map[string]any{}); errors.As(err, &parse) {
			line := parse.Position.Line
			if strings.Contains(parse.Message, `got '\n'`) { // which the parser counts to the next line
				line--
			}
			return fail.New(fail.Unable, "podman cannot read its settings: %s:%d: %s", file, line, parse.Message).
				Hint("correct that line, see containers.conf(5) and containers-storage.conf(5)")
		}
	}
	if _, cause, ok := strings.Cut(said, "decode configuration "); ok {
		return fail.New(fail.Unable, "podman cannot read its settings: %s", strings.TrimSuffix(cause, `"`)).
			Hint("correct that file, see containers.conf(5)")
	}
	return nil
}

// settingsFiles are those that podman reads, containers.conf(5) and
// containers-storage.conf(5).
func settingsFiles() []string {
	var out []string
	if conf := os.Getenv("CONTAINERS_CONF"); conf != "" {
		out = append(out, conf)
	} else {
		dirs := []string{"/usr/share/containers", "/etc/containers"}
		if user, err := os.UserConfigDir(); err == nil {
			dirs = append(dirs, filepath.Join(user, "containers"))
		}
		for _, dir := range dirs {
			// A pattern that the directory's name makes malformed finds none.
			dropIns, _ := filepath.Glob(filepath.Join(dir, "containers.conf.d", "*.conf"))
			out = append(append(out, filepath.Join(dir, "containers.conf")), dropIns...)
			out = append(out, filepath.Join(dir, "storage.conf"))
		}
	}
	for _, name := range []string{"CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF"} {
		if file := os.Getenv(name); file != "" {
			out = append(out, file)
		}
	}
	return out
}
