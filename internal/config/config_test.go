package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/config"
	"github.com/tbx-project/tbx/internal/fail"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterFileWinsKeyByKey(t *testing.T) {
	system := write(t, "[general]\ntoolbox = \"work\"\ndistro = \"fedora\"\n[prompt]\nenabled = false\n")
	user := write(t, "[general]\ntoolbox = \"play\"\n[environment]\nblock = [\"AWS_SECRET\"]\n")
	c, err := config.Load(system, filepath.Join(t.TempDir(), "none.toml"), user)
	if err != nil {
		t.Fatal(err)
	}
	if c.General.Toolbox != "play" || c.General.Distro != "fedora" || c.Prompt.Enabled || c.Environment.Block[0] != "AWS_SECRET" {
		t.Errorf("got %+v", c)
	}
	if c.Prompt.Format != config.Default().Prompt.Format {
		t.Errorf("a key that no file sets lost its default: %q", c.Prompt.Format)
	}
}

func TestI7_ErrorsNameFileLineAndNearestKey(t *testing.T) {
	for _, tc := range []struct{ name, text, line, hint string }{
		{"unknown key", "[general]\ntoolbox = \"a\"\ntolbox = \"b\"\n", ":3: ", "general.toolbox"},
		{"unknown table", "\n[promt]\nenabled = true\n", ":2: ", "prompt"},
		{"key without a table", "distro = \"fedora\"\n", ":1: ", ""},
		{"syntax", "[general]\ntoolbox = \n", ":2:11: ", "correct"},
		{"cut", "[general]\ntoolbox = \"a", ":2:", "correct"},
		{"binary", "\x00\x01\x02", ":1:", "correct"},
		{"not UTF-8", "[general]\ntoolbox = \"\xff\"\n", ":2:", "correct"},
		{"deeply nested", "[general]\ntoolbox = " + strings.Repeat("[", 100_000), ":2:", "correct"},
		{"nested tables", "[general]\n" + strings.Repeat("[general.a]\n", 10_000), ":3:", "correct"},
		{"table twice", "[general]\n[prompt]\n[general]\n", ":3:", "correct"},
		{"other encoding", "\xff\xfe[\x00g\x00", ":1:", "correct"},
		{"wrong type", "[prompt]\n\nenabled = \"yes\"\n", ":3: ", "correct"},
		{"twice", "[general]\ndistro = \"a\"\ndistro = \"b\"\n", ":3:", "correct"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := write(t, tc.text)
			_, err := config.Load(file)
			if !errors.Is(err, fail.Usage) {
				t.Fatalf("got %v, want a usage error", err)
			}
			if !strings.HasPrefix(err.Error(), file+tc.line) {
				t.Errorf("message %q does not begin with file and line %q", err, tc.line)
			}
			if hints := strings.Join(fail.Hints(err), "\n"); !strings.Contains(hints, tc.hint) || hints == "" {
				t.Errorf("hints %q lack %q", hints, tc.hint)
			}
		})
	}
}

// What editors of other systems write is no error.
func TestI7_ByteOrderMarkAndCarriageReturns(t *testing.T) {
	c, err := config.Load(write(t, "\ufeff[general]\r\ntoolbox = \"work\"\r\n"))
	if err != nil || c.General.Toolbox != "work" {
		t.Errorf("%+v, %v", c.General, err)
	}
}

func TestPromptFormatIsCheckedAtOnce(t *testing.T) {
	for _, f := range []string{"%d", "%s %s", "100%", "a\\nb", "\\u001b[31m%s"} {
		if _, err := config.Load(write(t, "[prompt]\nformat = \""+f+"\"\n")); err == nil {
			t.Errorf("format %q was accepted", f)
		}
	}
}

func TestStallSecondsAreSeconds(t *testing.T) {
	if _, err := config.Load(write(t, "[images]\nstall_seconds = 0\n")); !errors.Is(err, fail.Usage) {
		t.Errorf("0 seconds: %v", err)
	}
	if c, err := config.Load(write(t, "[images]\nstall_seconds = 5\nrequire_signature = true\n")); err != nil || c.Images.StallSeconds != 5 || !c.Images.RequireSignature {
		t.Errorf("%+v, %v", c.Images, err)
	}
}
