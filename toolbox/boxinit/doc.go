// Package boxinit runs inside a toolbox. It has the first process, the initialiser that
// makes a container of any image a toolbox of its user, and First, which helps some of
// the toolbox's own commands.
//
// tbx enters the container as its root and runs Init after every start. Init needs
// nothing of the image: no shell, no libc, no useradd, no mount(8). It edits files and
// calls the kernel, changes only what differs, and may be run any number of times. A step
// that fails is reported and skipped; only a toolbox that could not be entered at all is
// an error.
//
// The package is linked into the small static program tbx-box, so it may import the
// standard library, golang.org/x/sys and internal/executable only. Read Init first.
package boxinit
