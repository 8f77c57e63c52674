// Package completion says what a shell can offer for a word of tbx's command line,
// and holds the scripts that ask it. A function takes what it needs as a small
// interface or as data; so it is tested without podman, and tbx, which links it for
// two commands, stays small. What cannot be asked for in time is not offered: there
// are no errors here. It must not print or import a domain package.
package completion
