// Package images answers "which image, from where, may I trust it, and how does it get
// here".
//
// [LoadCatalogue] and [Catalogue.Resolve] turn the user's request into one reference.
// [Ensure] brings that reference into the [Store], by a pull or by bootstrapping it from
// a package mirror, and only with the owner's keys if [Trust] is set; [EnsureBuilt] does
// so for a Containerfile. [Provenance] records where each image came from.
//
// This package must not print, ask on a terminal, or know what a toolbox is: callers pass
// a [Progress] and an Ask function. Package images/podman implements the Store, package
// images/registry the [Registry].
package images
