// Package provision does what needs an image and a toolbox together: it chooses the image
// of a toolbox, gets or builds it, and creates the toolbox. All commands that make or
// change toolboxes call it. It must not print, read flags or know commands: questions,
// warnings and progress are funcs of Provisioner. It is the only package that imports
// toolbox and images.
package provision
