// Package host holds the commands below tbx host, and root's side of them. Its status
// is linked into tbx, so nothing here may pull images or ask registries.
package host
