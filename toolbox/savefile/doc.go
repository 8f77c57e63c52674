// Package savefile describes the file that holds a whole saved toolbox, docs/save.md. It
// is an archive that tar(1) reads, compressed by zstd(1); package stream writes and reads
// it. Its members are, in this order,
//
// - tbx-toolbox.json, the Manifest;
// - the parts, each cut into pieces PART/NUMBER, so that a part of unknown length can be
// streamed. A part is the concatenation of its pieces;
// - tbx-end.json, with the digest of everything before it.
//
// A reader must not trust any content before End has confirmed it. The digest proves that
// the file is unchanged, not who wrote it.
//
// The package must not touch the file system or podman, nor link a compressor: tbx
// itself, which enters toolboxes, has it too.
package savefile
