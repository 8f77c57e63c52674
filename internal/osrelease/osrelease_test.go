package osrelease_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/osrelease"
)

func TestParse(t *testing.T) {
	got, err := osrelease.Parse(strings.NewReader("# ID=comment\n ID=fedora \nNAME=\"a \\\"b\\\" $c\"\nX='d\\e'\nID=last\nnothing\nVERSION_ID=\n"))
	want := map[string]string{"ID": "last", "NAME": `a "b" $c`, "X": `d\e`, "VERSION_ID": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := osrelease.Parse(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("a line of a MiB was taken")
	}
}

func TestRead(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := osrelease.Read(root); err != nil || len(got) != 0 {
		t.Errorf("without a file: %q, %v", got, err)
	}
	put("usr/lib/os-release", "ID=vendor")
	if got, err := osrelease.Read(root); err != nil || got["ID"] != "vendor" {
		t.Errorf("with the vendor's: %q, %v", got, err)
	}
	put("etc/os-release", "ID=admin")
	if got, err := osrelease.Read(root); err != nil || got["ID"] != "admin" {
		t.Errorf("with both: %q, %v", got, err)
	}
}
