// Command gen writes the manual pages of tbx's commands, from the same command tree
// that the program runs, and the list of tests in docs/attacks.md, from the tests'
// names, the polkit actions and the verbs in docs/schema from osupdate's table of verbs, so
// that they cannot disagree. Its argument is the top of the source tree.
// Its tests check everything else that docs/ says about commands.
//
// cobra/doc is not used: it puts the long texts through Markdown, which joins the
// lines of indented examples, and it brings three modules.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/cmd/full"
)

//go:generate go run . ../..

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: gen DIRECTORY")
	}
	if err := writeAttacks(args[0]); err != nil {
		return err
	}
	if err := writeTables(args[0]); err != nil {
		return err
	}
	if err := writeSchema(args[0]); err != nil {
		return err
	}
	if err := writePolkit(args[0]); err != nil {
		return err
	}
	if err := writeVerbs(args[0]); err != nil {
		return err
	}
	if err := writeScripts(args[0]); err != nil {
		return err
	}
	man := filepath.Join(args[0], "docs/man")
	old, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil {
		return err
	}
	for _, f := range old { // of a command that is gone
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(man, 0o755); err != nil {
		return err
	}
	for name, text := range pages(full.Root()) {
		if err := os.WriteFile(filepath.Join(man, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
