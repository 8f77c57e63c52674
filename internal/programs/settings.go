package programs

import (
	"os"
	"slices"
	"strings"
)

// engineSettings are variables that name files which podman's bindings read before main
// begins. An unreadable file ends the program there, with exit code 1 and without a
// message, even for --help. tbx itself needs none of them.
var engineSettings = []string{"CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"}

// aside returns the name of such a variable while the program starts.
const aside = "TBX_ASIDE_"

// withoutSettings returns env for tbx-podman: an empty file for each of engineSettings,
// and the caller's value under another name.
func withoutSettings(env []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(engineSettings, name) || strings.HasPrefix(name, aside)
	})
	for _, name := range engineSettings {
		for _, kv := range env {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				out = append(out, aside+name+"="+value)
			}
		}
	}
	return append(out, engineSettings[0]+"=/dev/null", aside+"=1")
}

// RestoreSettings restores the caller's variables, for the programs that this process
// starts. It is the first call of main.
func RestoreSettings() {
	if os.Getenv(aside) == "" {
		return // called by hand
	}
	os.Unsetenv(aside)
	for _, name := range engineSettings {
		os.Unsetenv(name)
		if value, ok := os.LookupEnv(aside + name); ok {
			os.Setenv(name, value)
			os.Unsetenv(aside + name)
		}
	}
}
