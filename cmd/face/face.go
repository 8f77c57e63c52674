// Package face lets tbx be called by the names of Toolbx and distrobox, for scripts and
// programs that call those: it turns their words into the words of tbx. It must not do
// anything else: what then happens is tbx's own, and what tbx has not is refused with a
// sentence. docs/faces.md has the tables. The grammars are those of toolbox(1) of Toolbx
// 0.3 and of distrobox 1.8's manual pages.
package face

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Call is what a call by another name means.
type Call struct {
	Args  []string // for tbx, its name first
	Print string   // printed instead, if it is not empty
	face  bool
}

// Of translates a call: args are those of the process, and home is the user's. A call by
// any name but those of the faces is returned as it is.
func Of(args []string, home string) (Call, error) {
	name := filepath.Base(args[0])
	switch {
	case name == "toolbox":
		return Call{Args: append([]string{args[0]}, toolbx(args[1:])...), face: true}, nil
	case name == "distrobox" || strings.HasPrefix(name, "distrobox-"):
		words := args[1:]
		if verb, ok := strings.CutPrefix(name, "distrobox-"); ok {
			words = append([]string{verb}, words...)
		}
		c, err := distrobox(words, home)
		c.Args, c.face = append([]string{args[0]}, c.Args...), true
		return c, err
	}
	return Call{Args: args}, nil
}

// Code is the exit code of a call whose own would be code: both programs end with 1 where
// tbx tells causes apart. What a session ends with stays.
func (c Call) Code(code int, session bool) int {
	const canceled = 130
	if c.face && !session && code != 0 && code != canceled {
		return 1
	}
	return code
}

// toolbx translates a call of Toolbx. tbx knows its commands and flags by its own; only
// what is printed, and what is asked, differs.
func toolbx(args []string) []string {
	for i, a := range args {
		switch {
		case a == "list":
			return slices.Insert(slices.Clone(args), i+1, "--columns", "toolbx")
		case a == "rm" || a == "rmi": // they do not ask
			return slices.Insert(slices.Clone(args), i+1, "--yes")
		case a == "--log-level":
			continue
		case a == "help" || !strings.HasPrefix(a, "-") && (i == 0 || args[i-1] != "--log-level"):
			return args
		}
	}
	return args
}

// refuse is the error for what tbx has not; instead is what to do, or empty.
func refuse(what, instead string) error {
	err := fail.New(fail.Usage, "distrobox %s: tbx does not have that", what)
	if instead != "" {
		return err.Hint("%s", instead)
	}
	return err.Hint("see what tbx has: tbx --help")
}
