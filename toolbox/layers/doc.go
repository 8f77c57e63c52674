// Package layers is about the layer in which podman keeps what a container has
// changed of its image: where it is, whether something uses it, and how two
// containers exchange theirs.
//
// An edit of a toolbox makes a second container of the same image, which is empty,
// and exchanges the two layers by one renameat2(2): nothing is copied, and at any
// moment each layer is whole and belongs to one container. Before the exchange the
// empty layer gets a mark (an extended attribute), which moves with it. So whoever has
// the mark is empty, and after a crash the mark alone says on which side the user's
// files are; Decide is that table.
//
// To use it:
//
//	a, err := engine.Layer(ctx, idA)   // toolbox.Engine; of containers that do not run
//	b, err := engine.Layer(ctx, idB)
//	err = layers.Fit(a, b)             // same driver, image layers and ids
//	s := layers.Space{Runtime: host.RuntimeDir, Helper: manager.BoxFile}
//	err = s.Exchange(ctx, a, b, true)  // true: b is empty and gets the mark
//	seen, err := s.Look(ctx, a, b)     // marked? mounted? there?
//
// Exchange refuses layers that are mounted, as those of a running container or of
// podman mount: the kernel would let two containers write to one layer. It has both
// directories and their parents on the disk when it returns (fsync(2)).
//
// The package must not know toolboxes, names or specifications, and must not call
// podman's service: what it has to know of a container its caller gives it. The work
// in the layers is done by package helper in tbx-box, as the root of podman's user
// namespace, who alone may.
package layers
