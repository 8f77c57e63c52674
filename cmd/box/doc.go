// Package box holds the commands about toolboxes, from create to rm. enter and run are
// elsewhere: package session.
package box
