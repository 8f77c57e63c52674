// Package variables knows what environment variables mean, as far as that decides whether
// a host's value is right in a toolbox: a path may be missing there, or a program. It is
// the one table of them; a test compares docs/environment.md with it.
//
// Sources: the manual pages and documents of glibc (ld.so(8), environ(7)), systemd
// (systemd.exec(5)), the XDG specifications, GTK, Qt, CPython, Perl, Ruby, Java, Node,
// OpenSSL and GnuTLS, less, man-db, ncurses, git and Nix.
package variables

import (
	"cmp"
	"slices"
)

// Meaning is the meaning of a variable's value.
type Meaning uint8

// The meanings. A path is "shared" if the toolbox has it at a path of its own; the host
// view has all other paths.
const (
	Value     Meaning = iota // words, numbers, options: the same anywhere
	Always                   // a value that a terminal cannot be used without
	HostOnly                 // of the host or of one process alone: never forwarded
	Path                     // a file or directory: kept where shared, else as in the host view, else dropped
	Paths                    // a list of such, by colons, each for itself
	Search                   // a list of directories that every system has its own of: only shared ones, before those
	Place                    // a directory to write to: kept where shared or there inside, else as in the host view, else dropped
	Tree                     // what is installed somewhere: kept where shared or there inside, else dropped
	Trees                    // a list of such, each for itself
	Program                  // a command line: kept if its first word is there inside
	Filter                   // such a command line, behind characters that are less's own
	Options                  // words for a program, some with a path in them: those that are not there inside are left out
	Activated                // the directory of an activated environment: kept if its interpreter runs inside
	Along                    // what goes along with an activated environment, which Variable.Of names
	Address                  // a path behind a word such as unix:path=
	Zone                     // a time zone: looked for inside, then in the host view
	Terminal                 // the name of a terminal
)

// Variable is a known variable.
type Variable struct {
	Name    string // exact
	Meaning Meaning
	// Of, for an Along, is the variable that names its environment.
	Of string
}

// Look returns the known facts about a variable. An unknown one is a Value.
func Look(name string) (v Variable, known bool) {
	for _, table := range [...][]Variable{table1[:], table2[:], table3[:]} {
		if name <= table[len(table)-1].Name {
			i, found := slices.BinarySearchFunc(table, name, func(v Variable, name string) int { return cmp.Compare(v.Name, name) })
			if found {
				return table[i], true
			}
			break
		}
	}
	return Variable{Name: name}, false
}

// All returns all known variables, by name.
func All() []Variable { return slices.Concat(table1[:], table2[:], table3[:]) }
