package toolbox

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
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
		want = append(want, key)
	}
	same(t, "docs/spec.md", rows(document(t, "spec.md")), want)
}

func TestDocumentedIntegrationsAreTheIntegrations(t *testing.T) {
	text, _, _ := strings.Cut(document(t, "integrations.md"), "## What every toolbox has")
	var want []string
	for _, i := range Integrations() {
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
		for _, m := range regexp.MustCompile("`([A-Za-z0-9_]+)`").FindAllStringSubmatch(part, -1) {
			out = append(out, m[1])
		}
		return out
	}
	same(t, "the list of what is never forwarded", words("**Never forwarded**", "To pass one"), hostOnly)
	same(t, "the list of what is always forwarded", words("**Forwarded even with", "## Paths"), always)
	same(t, "the list of paths", words("The values of", "are, or hold"), slices.Collect(maps.Keys(holdPaths)))

	_, table, _ := strings.Cut(text, "| integration | variables |")
	table, _, _ = strings.Cut(table, "| `environment` |")
	for name, integration := range byIntegration {
		row := regexp.MustCompile("(?m)^\\| `" + integration + "` \\| .*`" + name + "`")
		if !row.MatchString(table) {
			t.Errorf("docs/environment.md does not say that %s goes with %s", name, integration)
		}
	}
	if have := strings.Count(table, "`") / 2; have != len(byIntegration)+len(rows(table)) {
		t.Errorf("docs/environment.md names %d variables and integrations, want %d", have, len(byIntegration)+len(rows(table)))
	}
}
