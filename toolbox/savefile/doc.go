// Package savefile is the format of a file that holds a whole toolbox, docs/save.md: an
// archive that tar(1) reads, compressed by zstd(1). Its members are, in this order,
//
//   - tbx-toolbox.json, the Manifest;
//   - the parts, each cut into pieces PART/NUMBER, so that a part whose length nobody knows
//     beforehand can be streamed. A part is what its pieces are one behind the other;
//   - tbx-end.json, with the digest of all that was before it.
//
// Nothing that is read is to be believed before End has said that it is whole. A digest
// says that the file is what was written, not who wrote it.
//
// The package must not touch the file system or podman.
package savefile
