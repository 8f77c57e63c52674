// Package converge brings toolboxes to what a declaration says, in place: a setting is an
// edit, a package is installed or removed, a file is written, a command runs once. It
// changes only toolboxes that the declaration has made or taken over, and removes only
// what it has brought along itself; what that is it keeps in a record of each toolbox. It
// must not print: questions and progress are funcs of Converger.
package converge
