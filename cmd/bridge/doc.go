// Package bridge holds the commands about the requests of toolboxes to the host, and the
// agent, which is linked into tbx.
package bridge
