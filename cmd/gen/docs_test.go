package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/full"
)

// root is the top of the source tree, from here.
const root = "../.."

func TestEveryCommandHasItsManualPage(t *testing.T) {
	want := pages(full.Root())
	have, err := filepath.Glob(root + "/docs/man/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range have {
		name := filepath.Base(file)
		if _, ok := want[name]; !ok {
			t.Errorf("%s is of no command", file)
		}
	}
	for name, text := range want {
		data, err := os.ReadFile(filepath.Join(root, "docs/man", name))
		if err != nil {
			t.Error(err)
		} else if string(data) != text {
			t.Errorf("%s is not what the command says; run: go generate ./cmd/gen", name)
		}
	}
}

// pflag shows the Go type of a flag's value unless a word of its usage stands in
// back quotes.
func TestValuesOfFlagsHaveNames(t *testing.T) {
	for name, text := range pages(full.Root()) {
		for _, kind := range []string{"string", "int", "stringArray", "duration"} {
			if strings.Contains(text, `\fI`+kind+`\fR`) {
				t.Errorf("%s: a value is called %s", name, kind)
			}
		}
	}
}

// documents calls do with every Markdown file of the project.
func documents(t *testing.T, do func(path, text string)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		data, err := os.ReadFile(path)
		seen++
		do(path, string(data))
		return err
	})
	if err != nil || seen < 5 {
		t.Fatalf("%d documents, %v", seen, err)
	}
}

func TestEveryFolderIsInTheArchitecture(t *testing.T) {
	data, err := os.ReadFile(root + "/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			folders[strings.TrimPrefix(filepath.Dir(path), root+"/")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range folders {
		name := "`" + folder + "/`"
		if leaf, ok := strings.CutPrefix(folder, "internal/"); ok {
			name = "`" + leaf + "`"
		}
		if !strings.Contains(string(data), name) {
			t.Errorf("ARCHITECTURE.md has no line for %s", name)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)
	documents(t, func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
			}
		}
	})
}

// TestPrintedCommandsExist takes every call of tbx that the documents print in
// code and looks its words up in the command tree.
func TestPrintedCommandsExist(t *testing.T) {
	inline := regexp.MustCompile("`((?:bin/)?tbx [^`]+)`")
	indented := regexp.MustCompile(`(?m)^(?:    )?(?:\$ )?((?:bin/)?tbx .+)$`)
	fence := regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	calls := 0
	documents(t, func(path, text string) {
		var lines [][]string
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			lines = append(lines, indented.FindAllStringSubmatch(block[1], -1)...)
		}
		lines = append(lines, inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1)...)
		for _, l := range lines {
			calls++
			if problem := checkCall(full.Root(), l[1]); problem != "" {
				t.Errorf("%s: %s: %s", path, l[1], problem)
			}
		}
	})
	if calls < 20 {
		t.Errorf("only %d calls were found: the patterns do not fit the documents", calls)
	}
}

func TestCheckCallFindsMistakes(t *testing.T) {
	for call, ok := range map[string]bool{
		"tbx list":                          true,
		"tbx --version":                     true,
		"tbx run -c web make --jobs 4":      true, // the flag is make's
		"tbx run --nothing make":            false,
		"tbx creat":                         false,
		"tbx create --distro fedora --foo":  false,
		"tbx create [--image REF] NAME":     true,
		"tbx rm --force=true NAME... # why": true,
	} {
		if got := checkCall(full.Root(), call) == ""; got != ok {
			t.Errorf("%q: right is %v, want %v", call, got, ok)
		}
	}
}

// checkCall says what is wrong with a printed call, or "".
func checkCall(tree *cobra.Command, call string) string {
	call, _, _ = strings.Cut(call, " #")
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "|", " ", "'", " ").Replace(call))[1:]
	c := tree
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--" || w == "…" || w == "...":
			return ""
		case strings.HasPrefix(w, "-"):
			name, _, hasValue := strings.Cut(strings.TrimLeft(w, "-"), "=")
			if strings.Contains(w, "…") || strings.Contains(w, "KEY") {
				continue // stands for several
			}
			f := c.Flags().Lookup(name)
			if f == nil {
				f = c.InheritedFlags().Lookup(name)
			}
			if f == nil && len(name) == 1 {
				f = c.Flags().ShorthandLookup(name)
			}
			if f == nil && len(name) == 1 {
				f = c.InheritedFlags().ShorthandLookup(name)
			}
			if f == nil && name != "help" && name != "version" && !(c == tree && tree.PersistentFlags().Lookup(name) != nil) {
				return "there is no flag " + w
			}
			if f != nil && f.NoOptDefVal == "" && !hasValue {
				i++ // its value
			}
		case c.HasAvailableSubCommands():
			sub, _, err := c.Find([]string{w})
			if err != nil || sub == c {
				return "there is no command " + w
			}
			c = sub
		case c.Name() == "run":
			return "" // the command's words
		}
	}
	return ""
}
