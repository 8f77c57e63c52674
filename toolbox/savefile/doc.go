// Package savefile says what a file holds that a whole toolbox is saved in, docs/save.md.
// It is an archive that tar(1) reads, compressed by zstd(1); package stream writes and
// reads it. Its members are, in this order,
//
//   - tbx-toolbox.json, the Manifest;
//   - the parts, each cut into pieces PART/NUMBER, so that a part whose length nobody knows
//     beforehand can be streamed. A part is what its pieces are one behind the other;
//   - tbx-end.json, with the digest of all that was before it.
//
// Nothing that is read is to be believed before End has said that it is whole. A digest
// says that the file is what was written, not who wrote it.
//
// The package must not touch the file system or podman, nor link what compresses: tbx
// itself, which enters toolboxes, has it too.
package savefile
