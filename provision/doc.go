// Package provision does what needs an image and a toolbox together: it chooses the
// image of a toolbox, gets or builds it, and creates the toolbox. A command that
// edits, rebases, clones or upgrades a toolbox calls it too. It must not print,
// read flags or know commands: questions, warnings and progress are funcs of
// Provisioner. It is the only package that imports toolbox and images.
package provision
