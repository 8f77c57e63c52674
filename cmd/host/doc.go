// Package host holds the commands below tbx host, and their part that runs as root. host
// status is linked into tbx, so nothing here may pull images or ask registries.
package host
