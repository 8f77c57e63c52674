package envset_test

import (
	"testing"

	"github.com/tbx-project/tbx/internal/envset"
)

func TestGet(t *testing.T) {
	env := []string{"A=1", "AB=2", "A=3=4", "B", "=x"}
	for name, want := range map[string]string{"A": "3=4", "AB": "2", "B": "", "C": ""} {
		if got := envset.Get(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestFirst(t *testing.T) {
	env := []string{"AB=2", "A=1", "A=3=4", "B", "=x"}
	for name, want := range map[string]string{"A": "1", "AB": "2", "B": "", "C": ""} {
		if got := envset.First(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
