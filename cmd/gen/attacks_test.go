package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mustHaveTests are the kinds of rows of docs/attacks.md that cannot be without a test.
const mustHaveTests = "BDEFHISX"

func TestAttacksAreTested(t *testing.T) {
	data, err := os.ReadFile(root + "/docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := attackTests(root)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	now, without := attacks(text, tests)
	if now != text {
		t.Error("the tests in docs/attacks.md are not those that there are; run: go generate ./cmd/gen")
	}
	for _, id := range without {
		if strings.Contains(mustHaveTests, id[:1]) {
			t.Errorf("no test has a name that begins with %s, see docs/attacks.md", id)
		}
	}
	var rows []string
	for _, m := range attackRow.FindAllStringSubmatch(text, -1) {
		if slices.Contains(rows, m[2]) {
			t.Errorf("docs/attacks.md has two rows of %s", m[2])
		}
		rows = append(rows, m[2])
	}
	if len(rows) < 50 {
		t.Errorf("only %d rows were found: the pattern does not fit the document", len(rows))
	}
	for id, names := range tests {
		if !slices.Contains(rows, id) {
			t.Errorf("docs/attacks.md has no row for %s of %q", id, names)
		}
	}
}

// The head of the page says once what each letter of a number means.
func TestAttackLettersAreExplained(t *testing.T) {
	data, err := os.ReadFile(root + "/docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(data), "| case |")
	explained := map[string]int{}
	for _, m := range regexp.MustCompile(`(?:^|[,.]\s|\n)([A-Z]) (?:is|an?|the)\s`).FindAllStringSubmatch(head, -1) {
		explained[m[1]]++
	}
	for _, letter := range strings.Split(mustHaveTests, "") {
		if explained[letter] != 1 {
			t.Errorf("docs/attacks.md explains %s %d times", letter, explained[letter])
		}
	}
}

func TestAttackNames(t *testing.T) {
	text := "| I1 | a | b | |\n| I2 | a | as I1 | x |\n| I3 | a | b | old |\n"
	now, without := attacks(text, map[string][]string{"I1": {"TestI1_X", "tests/i1-x.txtar"}})
	if want := "| I1 | a | b | `TestI1_X`, `tests/i1-x.txtar` |\n| I2 | a | as I1 | as I1 |\n| I3 | a | b | |\n"; now != want || !slices.Equal(without, []string{"I3"}) {
		t.Errorf("%q, without %q", now, without)
	}
	if again, _ := attacks(now, map[string][]string{"I1": {"TestI1_X", "tests/i1-x.txtar"}}); again != now {
		t.Errorf("the second time %q", again)
	}
	for line, want := range map[string]string{
		"func TestB4_Fuse(t *testing.T) {": "B4", "func TestX1Isolated(t *testing.T) {": "X1", "\t\t{\"B9_ClientKilled\", clientKilled},": "B9",
		"\tt.Run(\"S2 environment\", func": "S2", "func TestX11(t *testing.T) {": "", "func TestFollow(": "", "// TestB4_Fuse": "",
	} {
		got := ""
		if m := testNames.FindStringSubmatch(line); m != nil {
			got = m[2] + m[4] + m[6]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
