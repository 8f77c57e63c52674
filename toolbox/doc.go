// Package toolbox knows what a toolbox is: its name, its specification, the container
// made from it, and its life from create to rm.
//
// A Spec is the desired state, in a file of the user. A Plan renders it for this host,
// with the reason of every mount. A Manager carries out plans on an Engine, which is
// podman (package toolbox/podman), and enters toolboxes by package toolbox/join if
// possible. The package must not import the bindings, cobra or any other domain package,
// and it prints nothing.
//
// Read Spec, NewPlan and Manager.Create first.
package toolbox
