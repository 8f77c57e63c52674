package osupdate_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tbx-project/tbx/osupdate"
)

// TestDetect lays out each root of testdata/roots and compares. The comment of
// an archive holds "kind:", and where they matter "container:", "would:",
// "evidence:" (a part of one sentence), "flags:" and "link: NAME -> TARGET".
func TestDetect(t *testing.T) {
	files, err := filepath.Glob("testdata/roots/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 24 {
		t.Fatalf("only %d roots", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			root, want := layOut(t, file)
			d := osupdate.Detect(root)
			if again := osupdate.Detect(root); again.Kind != d.Kind || !slices.Equal(again.Evidence, d.Evidence) {
				t.Errorf("two answers for one root: %+v and %+v", d, again)
			}
			if string(d.Kind) != want["kind"][0] {
				t.Errorf("kind %q, want %q; evidence %q", d.Kind, want["kind"][0], d.Evidence)
			}
			for _, part := range want["evidence"] {
				if !slices.ContainsFunc(d.Evidence, func(e string) bool { return strings.Contains(e, part) }) {
					t.Errorf("no evidence of %q in %q", part, d.Evidence)
				}
			}
			if got := d.Container != ""; got != (want["container"] != nil) || got && !strings.Contains(d.Container, want["container"][0]) {
				t.Errorf("container %q", d.Container)
			}
			if len(want["would"]) > 0 && d.Would != want["would"][0] {
				t.Errorf("would be updated with %q", d.Would)
			}
			if len(d.Evidence) == 0 {
				t.Error("no evidence")
			}
			flags := strings.Fields(strings.Join(want["flags"], " "))
			if d.Live != slices.Contains(flags, "live") || d.Composefs != slices.Contains(flags, "composefs") {
				t.Errorf("live %t, composefs %t", d.Live, d.Composefs)
			}
			if m := want["managers"]; !slices.Equal(d.Managers, m) {
				t.Errorf("managers %q", d.Managers)
			}
			if c := want["checksum"]; c != nil && d.Checksum != c[0] {
				t.Errorf("checksum %q", d.Checksum)
			}
		})
	}
}

func layOut(t *testing.T, file string) (root string, want map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, want = t.TempDir(), map[string][]string{}
	ar := txtar.Parse(data)
	for line := range strings.Lines(string(ar.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		want[key] = append(want[key], value)
	}
	put := func(name string, how func(path string) error) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := how(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range ar.Files {
		put(f.Name, func(p string) error { return os.WriteFile(p, bytes.TrimSuffix(f.Data, []byte("\n")), 0o644) })
	}
	for _, l := range want["link"] {
		name, target, _ := strings.Cut(l, " -> ")
		put(name, func(p string) error { return os.Symlink(target, p) })
	}
	return root, want
}
