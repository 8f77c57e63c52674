package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/full"
	"github.com/tbx-project/tbx/osupdate"
)

// A code means one thing, and every kind of failure has one.
func TestExitCodesAreUnique(t *testing.T) {
	codes, kinds := map[int]bool{}, map[error]bool{}
	last := -1
	for _, c := range cli.ExitCodes() {
		if codes[c.Code] || c.Code <= last || c.Means == "" || len(c.Of) == 0 {
			t.Errorf("exit code %d is there twice, out of order, or says nothing", c.Code)
		}
		codes[c.Code], last = true, c.Code
		for _, k := range c.Kinds {
			if kinds[k.Err] {
				t.Errorf("%v has two exit codes", k.Err)
			}
			kinds[k.Err] = true
		}
	}
	for _, p := range osupdate.Problems() {
		if !kinds[p] {
			t.Errorf("the failure %q has no exit code", p.Name)
		}
		if osupdate.ProblemNamed(p.Name) != p {
			t.Errorf("two kinds are called %q", p.Name)
		}
	}
}

// The pages of the commands with codes of their own say so, and the others do not.
func TestExitStatusOfCommands(t *testing.T) {
	for name, want := range map[string][]string{
		"list": {"4", "!7", "!77", "!125", "!20"}, "host upgrade": {"7", "77", "!4", "!125"}, "host override reset": {"16", "!4"},
		"run": {"125", "127", "!1", "!3", "!77"}, "host-exec": {"126", "!3"}, "policy test": {"20", "21", "!6", "!4"}, "policy allow": {"6", "!20"},
	} {
		c, _, err := full.Root().Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(exitStatus(c), "\n")
		for _, code := range want {
			code, without := strings.CutPrefix(code, "!")
			if slices.Contains(lines, ".B "+code) == without {
				t.Errorf("%s: exit code %s", name, code)
			}
		}
	}
}
