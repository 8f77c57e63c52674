package full

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/cmd/cli"
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

// freeFlags are the flags with values that nothing knows beforehand, and why.
var freeFlags = map[string]string{
	"adopt --name":                 "the name of a toolbox that there is not yet",
	"create --toolbox":             "the name of a toolbox that there is not yet",
	"create --hostname":            "a new name",
	"create --env":                 "NAME=VALUE, of which the value is new",
	"create --memory":              "a number",
	"create --cpus":                "a number",
	"create --pids-limit":          "a number",
	"create --shm-size":            "a number",
	"load --name":                  "the name of a toolbox that there is not yet",
	"edit --hostname":              "a new name",
	"import --name":                "a new name",
	"freeze --include":             "a path of the toolbox, which need not run",
	"freeze --exclude":             "a path of the toolbox, which need not run, or a pattern",
	"edit --env":                   "NAME=VALUE, of which the value is new",
	"edit --no-env":                "a variable that only the toolbox's file knows",
	"edit --memory":                "a number",
	"edit --cpus":                  "a number",
	"edit --pids-limit":            "a number",
	"edit --shm-size":              "a number",
	"clone --hostname":             "a new name",
	"snapshot create --reason":     "a new text",
	"snapshot prune --keep-last":   "a number",
	"snapshot prune --keep-days":   "a number",
	"snapshot prune --max-size":    "a number",
	"run --preserve-fds":           "a number",
	"enter --preserve-fds":         "a number",
	"stop --time":                  "a number",
	"logs --tail":                  "a number",
	"image build --build-arg":      "NAME=VALUE, of which the value is new",
	"image bootstrap --include":    "packages of a distribution whose mirror was not read yet",
	"host upgrade --to":            "a version that only the source of updates knows; asking it takes seconds",
	"host override replace --from": "a repository that only the updater knows",
	"host kargs --append":          "an argument that is not there yet",
	"host initramfs --arg":         "an argument of dracut",
}

// TestTree holds every command to its help text, example and completion, and
// every flag to a description and, where its value can be guessed or must not
// be taken for a file, a completion.
func TestTree(t *testing.T) {
	root := Root()
	seen, free := 0, map[string]bool{}
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
			check(!takesValue || completed, "--"+f.Name+" has no completion")
			if f.Annotations[cli.FreeFlag] != nil {
				name := strings.TrimPrefix(c.CommandPath(), "tbx ") + " --" + f.Name
				check(freeFlags[name] != "", "--"+f.Name+" has no completion, and no reason why is given in freeFlags")
				free[name] = true
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	for name := range freeFlags {
		if !free[name] {
			t.Errorf("%s has a completion, or is gone: take it out of freeFlags", name)
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands were looked at", seen)
	}
}
