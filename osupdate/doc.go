// Package osupdate is one model of an image-based host and of the operations on it: which
// system boots next, what an update would bring, how to go back.
//
// [Detect] finds the updater of the booted system, a [Backend] drives that updater, and
// [Host] gives all of them one behaviour: plan before apply, one change at a time, and a
// result counts only after reading the state again. Start reading at [Host].
//
// The package uses only upstream's own transactional verbs: it never edits a boot entry,
// a deployment or a repository itself. It must not print, ask or exit; cmd does.
package osupdate
