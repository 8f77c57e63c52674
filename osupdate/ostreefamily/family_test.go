package ostreefamily

import (
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate/osupdatetest/fakehost"
)

// TestStagedDeployment: the lock and the kernel arguments of what is staged.
func TestStagedDeployment(t *testing.T) {
	long := []string{"root=UUID=1", `dyndbg="file a.c +p"`, strings.Repeat("x", 300)} // offsets of two bytes
	for _, kargs := range [][]string{{"quiet"}, nil, long} {
		for _, locked := range []byte{0, 1} {
			s := parseStaged(fakehost.Dictionary([]fakehost.Member{
				{Key: "kargs", Type: "as", Data: fakehost.Strings(kargs)}, {Key: "locked", Type: "b", Data: []byte{locked}},
				{Key: "x-options-source-tbx", Type: "s", Data: []byte("a=1\x00")},
			}))
			if !s.Known || s.Locked != (locked == 1) || !slices.Equal(s.Kargs, kargs) || s.Sources["tbx"] != "a=1" {
				t.Errorf("%q, %d: %+v", kargs, locked, s)
			}
		}
	}
	if s := parseStaged([]byte("no dictionary")); s.Locked || s.Kargs != nil {
		t.Errorf("%+v", s)
	}
}

func FuzzGVariant(f *testing.F) {
	f.Add(fakehost.Dictionary([]fakehost.Member{{Key: "kargs", Type: "as", Data: fakehost.Strings([]string{"a", "b"})}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseStaged(data)
		parseCommit(data)
	})
}
