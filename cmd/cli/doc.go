// Package cli holds what all commands of tbx share: streams, settings and signals, the
// forms of arguments, flags and output, questions, and the only mapping from errors to
// exit codes. It is linked into tbx, so it must import nothing that pulls images, asks
// registries or talks to podman. Read Env first.
package cli
