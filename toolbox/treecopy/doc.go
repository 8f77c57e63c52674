// Package treecopy makes a faithful copy of a directory tree that may change meanwhile:
// types, contents with their holes, owners, modes, times in nanoseconds, extended
// attributes with access control lists and capabilities, hard links, and names of any
// bytes. Snapshots of toolboxes are made with it.
//
// It goes from directory to directory by descriptors and follows no link, so that the
// owner of the source cannot lead it elsewhere. It changes nothing in the source, not
// even a time of access. It is linked into tbx-box and may import the standard library,
// x/sys and internal/eintr only.
package treecopy
