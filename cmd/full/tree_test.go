package full

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// I14 to I17 of docs/attacks.md are about exported applications, of which there are
// none. Whoever adds them has those rows to test.
func TestI14_NothingIsExported(t *testing.T) {
	for _, name := range []string{"export", "unexport", "desktop", "app"} {
		if c, _, err := Root().Find([]string{name}); err == nil && c.Name() == name {
			t.Errorf("there is a command %s: docs/attacks.md, I14 to I17", name)
		}
	}
}

// TestTree holds every command to its help text, example and completion, and
// every flag to a description and, where its value can be guessed or must not
// be taken for a file, a completion.
func TestTree(t *testing.T) {
	root := Root()
	files := []string{"home", "share", "authfile", "containerfile"} // the shell's own completion of files is right for these
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		check := func(ok bool, what string) {
			if !ok {
				t.Errorf("%s: %s", c.CommandPath(), what)
			}
		}
		check(c.Short != "" && !strings.HasSuffix(c.Short, "."), "Short is missing or ends with a full stop")
		check(c.Long != "", "no Long")
		check(strings.Contains(c.Example, "tbx"), "no Example")
		for _, line := range strings.Split(c.Example, "\n") {
			check(strings.HasPrefix(line, "  ") && len(line) <= 80, "Example is not indented by two, or too wide: "+line)
		}
		check(c.HasSubCommands() || c.ValidArgsFunction != nil || c.ValidArgs != nil, "no completion of its words")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" || f.Name == "version" {
				return
			}
			check(f.Usage != "", "--"+f.Name+" has no description")
			_, completed := c.GetFlagCompletionFunc(f.Name)
			takesValue := f.NoOptDefVal == ""
			check(!takesValue || completed || slices.Contains(files, f.Name), "--"+f.Name+" has no completion")
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if seen < 10 {
		t.Errorf("only %d commands were looked at", seen)
	}
}
