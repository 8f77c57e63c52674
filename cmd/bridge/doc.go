// Package bridge holds the commands about what toolboxes may ask of the host, and the
// agent, which is linked into tbx.
package bridge
