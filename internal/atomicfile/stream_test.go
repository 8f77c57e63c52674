package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestE114_Stream: there is a file when all of it is there, and another one stays where it
// is not to be replaced or the new one fails.
func TestE114_Stream(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	say := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			if names, _ := os.ReadDir(dir); len(names) > 1 {
				t.Errorf("%v is there before its time", names)
			}
			_, err := io.WriteString(w, text)
			return err
		}
	}
	bad := errors.New("bad")
	for _, c := range []struct {
		replace bool
		write   func(io.Writer) error
		err     error
		after   string
	}{
		{false, func(io.Writer) error { return bad }, bad, ""},
		{false, say("one"), nil, "one"},
		{false, say("two"), fs.ErrExist, "one"},
		{true, func(io.Writer) error { return bad }, bad, "one"},
		{true, say("two"), nil, "two"},
	} {
		if err := Stream(path, c.replace, c.write); !errors.Is(err, c.err) {
			t.Errorf("%v, not %v", err, c.err)
		}
		if got, _ := os.ReadFile(path); string(got) != c.after {
			t.Errorf("%q, not %q", got, c.after)
		}
		if names, _ := os.ReadDir(dir); len(names) > 1 {
			t.Errorf("%v is left", names)
		}
	}
	if err := Stream(filepath.Join(dir, "none/file"), false, say("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
