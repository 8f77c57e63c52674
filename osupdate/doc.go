// Package osupdate is one model of an image-based host and of what can be done
// to it: which system boots next, what an update would bring, how to go back.
//
// [Detect] says which updater rules the booted system, a [Backend] speaks that
// updater's dialect, and [Host] promises one behaviour over all of them: plan
// before apply, one mutator at a time, results believed only after reading the
// state again. Start reading at [Host].
//
// The package uses upstream's own transactional verbs and nothing else: it never
// edits a boot entry, a deployment or a repository itself. It must not print,
// ask or exit; the cmd package does.
package osupdate
