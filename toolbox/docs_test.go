package toolbox

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/variables"
	"github.com/tbx-project/tbx/toolbox/integration"
)

func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// rows returns the first cells of the tables' rows in text, without back quotes,
// up to the next heading.
func rows(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func same(t *testing.T, what string, have, want []string) {
	t.Helper()
	have, want = slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(want))
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("%s lacks %s", what, w)
		}
	}
	for _, h := range have {
		if !slices.Contains(want, h) {
			t.Errorf("%s has %s, which does not exist", what, h)
		}
	}
}

func TestDocumentedSpecKeysAreTheKeys(t *testing.T) {
	var want []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Spec]()) {
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if key == "-" || !f.IsExported() {
			continue // it is in no file
		}
		want = append(want, key)
	}
	same(t, "docs/spec.md", rows(document(t, "spec.md")), want)
}

func TestDocumentedIntegrationsAreTheIntegrations(t *testing.T) {
	text, _, _ := strings.Cut(document(t, "integrations.md"), "## What every toolbox has")
	var want []string
	for _, i := range integration.All() {
		want = append(want, i.Key)
	}
	same(t, "docs/integrations.md", rows(text), want)
}

func TestDocumentedVariablesAreTheVariables(t *testing.T) {
	text := document(t, "environment.md")
	words := func(from, to string) []string {
		_, part, ok := strings.Cut(text, from)
		part, _, ok2 := strings.Cut(part, to)
		if !ok || !ok2 {
			t.Fatalf("docs/environment.md has no part from %q to %q", from, to)
		}
		var out []string
		for _, m := range regexp.MustCompile("`([A-Za-z0-9_%]+)`").FindAllStringSubmatch(part, -1) {
			out = append(out, m[1])
		}
		return out
	}
	sections := []struct {
		meaning  variables.Meaning
		from, to string
	}{
		{variables.HostOnly, "**Never forwarded**", "To pass one"},
		{variables.Always, "**Forwarded even with", "## Values"},
		{variables.Path, "**A file or a directory**", "**A list of those**"},
		{variables.Paths, "**A list of those**", "**A list of places"},
		{variables.Search, "**A list of places", "**A place to write to"},
		{variables.Place, "**A place to write to", "**What is installed"},
		{variables.Tree, "**What is installed", "**A list of those.**"},
		{variables.Trees, "**A list of those.**", "**A program**"},
		{variables.Program, "**A program**", "**Options for"},
		{variables.Options, "**Options for", "**A program for less**"},
		{variables.Filter, "**A program for less**", "**An activated"},
		{variables.Activated, "**An activated", "**What goes along"},
		{variables.Along, "**What goes along", "**An address"},
		{variables.Address, "**An address", "**A time zone"},
		{variables.Zone, "**A time zone", "**A terminal's name"},
		{variables.Terminal, "**A terminal's name", "Where a toolbox cannot"},
	}
	for _, s := range sections {
		var want []string
		for _, v := range variables.All() {
			if v.Meaning == s.meaning {
				want = append(want, v.Name)
			}
		}
		have := words(s.from, s.to)
		if s.meaning == variables.Search { // it is spoken of, too
			have = slices.Compact(slices.Sorted(slices.Values(have)))
		}
		same(t, "the list below "+s.from, have, want)
		if slices.Sort(have); len(slices.Compact(slices.Clone(have))) != len(have) {
			t.Errorf("a name stands twice below %s", s.from)
		}
	}

	_, table, _ := strings.Cut(text, "| integration | variables |")
	table, _, _ = strings.Cut(table, "| `environment` |")
	count := 0
	for _, i := range integration.All() {
		for _, name := range i.Variables {
			count++
			row := regexp.MustCompile("(?m)^\\| `" + i.Key + "` \\| .*`" + name + "`")
			if !row.MatchString(table) {
				t.Errorf("docs/environment.md does not say that %s goes with %s", name, i.Key)
			}
		}
	}
	if have := strings.Count(table, "`") / 2; have != count+len(rows(table)) {
		t.Errorf("docs/environment.md names %d variables and integrations, want %d", have, count+len(rows(table)))
	}
}
