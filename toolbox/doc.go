// Package toolbox knows what a toolbox is: its name, its specification, how
// that becomes a container, and its life from create to rm.
//
// A Spec is the desired state and lives in a file of the user's. A Plan renders
// it for this host, with the reason of every mount. A Manager carries plans out
// on an Engine, which is podman (package toolbox/podman), and enters toolboxes by
// package toolbox/join where it can. The package must not import the bindings,
// cobra or any other domain package, and it prints nothing.
//
// Read Spec, NewPlan and Manager.Create first.
package toolbox
