package programs

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// D13: settings of podman's that cannot be read do not keep tbx from starting, and the
// programs that it calls get them as they were.
func TestD13_SettingsAside(t *testing.T) {
	for _, given := range [][]string{
		{"A=1"}, {"CONTAINERS_CONF=/x", "A=1"}, {"CONTAINERS_CONF_OVERRIDE=/y", "CONTAINERS_CONF="}, {"TBX_ASIDE_CONTAINERS_CONF=/evil", "B=2"},
	} {
		env := withoutSettings(given)
		if !slices.Contains(env, "CONTAINERS_CONF=/dev/null") || slices.Contains(env, "CONTAINERS_CONF=/x") || slices.Contains(env, "CONTAINERS_CONF_OVERRIDE=/y") {
			t.Errorf("%q: %q", given, env)
		}
		os.Clearenv()
		for _, kv := range env {
			name, value, _ := strings.Cut(kv, "=")
			os.Setenv(name, value)
		}
		RestoreSettings()
		want := slices.DeleteFunc(slices.Clone(given), func(kv string) bool { return strings.HasPrefix(kv, aside) })
		got := os.Environ()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q became %q", given, got)
		}
	}
}
