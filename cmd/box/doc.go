// Package box holds the commands about toolboxes, but for enter and run: from create
// to rm.
package box
