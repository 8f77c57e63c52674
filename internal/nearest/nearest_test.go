package nearest_test

import (
	"slices"
	"testing"

	"github.com/tbx-project/tbx/internal/nearest"
)

func TestNames(t *testing.T) {
	known := []string{"debian", "ubuntu", "fedora", "alpine", "almalinux", "amazonlinux", "rhel"}
	for word, want := range map[string][]string{
		"debain": {"debian"},
		"Ubunut": {"ubuntu"},
		"al":     {"almalinux", "alpine"},
		"rehl":   {"rhel"},
		"rxxl":   nil, // two replacements in four letters could be anything
		"rhl":    {"rhel"},
		"":       nil,
		"zzz":    nil,
	} {
		if got := nearest.Names(word, known); !slices.Equal(got, want) {
			t.Errorf("Names(%q) = %q, want %q", word, got, want)
		}
	}
}
