package provision

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// RebaseReport is the plan of a rebase, or its result.
type RebaseReport struct {
	Name        string       `json:"name"`
	From        string       `json:"from"` // image
	To          string       `json:"to"`
	FromRelease string       `json:"from_release,omitempty"`
	ToRelease   string       `json:"to_release,omitempty"`
	Manager     string       `json:"manager,omitempty"`
	Snapshot    string       `json:"snapshot,omitempty"` // of the contents before
	File        string       `json:"file,omitempty"`     // that keeps the report
	Packages    Carried      `json:"packages"`
	Items       []RebaseItem `json:"items"`
}

// Carried are the packages that the user installed in the old toolbox.
type Carried struct {
	Found   []string `json:"found"`   // the new release has them
	Missing []string `json:"missing"` // the new release does not have them
	Local   []string `json:"local"`   // from no repository; they are brought along as they are
	Held    []string `json:"held"`
}

// RebaseItem is one thing other than a package, with the result: the words of package
// carry, and for repositories "changed", "kept" and "off".
type RebaseItem struct {
	Kind string `json:"kind"` // file, directory, user, group, package, repository, setting
	Name string `json:"name"`
	What string `json:"what"`
	Note string `json:"note,omitempty"`

	planned bool
}

// The results for a repository.
const (
	repoChanged = "changed"
	repoKept    = "kept"
	repoOff     = "off"
)

// trouble reports whether the user must look after an item.
func (i *RebaseItem) trouble() bool {
	return slices.Contains([]string{carry.Beside, carry.Stays, carry.Lost, carry.Left, repoOff}, i.What)
}

// meanings are the report's titles for the results.
var meanings = []struct{ what, title string }{
	{carry.Lost, "Could not come along"},
	{repoOff, "Switched off"},
	{carry.Beside, "Changed by you and by the new release: the new one's is used, yours is beside it with the ending .tbx-old"},
	{carry.Stays, "Removed by you, and present again"},
	{carry.Left, "Left behind: it belongs to no package and is in no directory that comes along"},
	{repoChanged, "Changed to the new release"},
	{repoKept, "Kept as it is"},
	{carry.Taken, "Came along"},
	{carry.Removed, "Removed, as you had done"},
}

// Write prints a report for people: first the items that need a look. With all it also
// lists the items that simply came along.
func (r *RebaseReport) Write(w io.Writer, all bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Toolbox %s: from %s to %s\n", r.Name, textOr(r.FromRelease, r.From), textOr(r.ToRelease, r.To))
	list := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "%s (%d): %s\n", title, len(names), escape.Text(strings.Join(names, " ")))
		}
	}
	list("Packages that you asked for", r.Packages.Found)
	list("Packages of no repository", r.Packages.Local)
	list("Packages held", r.Packages.Held)
	list("Packages that the new release does not have", r.Packages.Missing)
	for _, m := range meanings {
		var some []RebaseItem
		for _, i := range r.Items {
			if i.What == m.what && (all || i.trouble() || i.Kind != "file" && i.Kind != "directory") {
				some = append(some, i)
			}
		}
		if len(some) > 0 {
			fmt.Fprintf(&b, "%s:\n", m.title)
		}
		for _, i := range some {
			fmt.Fprintf(&b, "  %s %s", i.Kind, escape.Text(i.Name))
			if i.Note != "" && i.What != carry.Beside {
				fmt.Fprintf(&b, " (%s)", escape.Text(i.Note))
			}
			b.WriteByte('\n')
		}
	}
	if n := r.quiet(); n > 0 && !all {
		fmt.Fprintf(&b, "Files and directories of yours that come along: %d\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quiet counts the files and directories that simply came along.
func (r *RebaseReport) quiet() (n int) {
	for _, i := range r.Items {
		if (i.Kind == "file" || i.Kind == "directory") && (i.What == carry.Taken || i.What == carry.Removed) {
			n++
		}
	}
	return n
}

// Troubles counts the items that a user must look after.
func (r *RebaseReport) Troubles() int {
	n := len(r.Packages.Missing)
	for _, i := range r.Items {
		if i.trouble() {
			n++
		}
	}
	return n
}

func textOr(text, other string) string {
	if text == "" {
		text = other
	}
	return escape.Text(text)
}
