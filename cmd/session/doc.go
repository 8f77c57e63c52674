// Package session holds the commands that become something in a toolbox: enter and
// run. It is linked into tbx.
package session
