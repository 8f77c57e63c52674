// Package podman is toolbox.Engine over podman's bindings. It talks to a podman
// service of tbx's own, started on demand, so that the storage and the settings
// are those of the user's podman command. It may import the bindings, and is the
// only package beside images/podman that does.
package podman

// Tags are the build tags with which podman's bindings are built: without the C
// libraries that only podman's own server needs. The Makefile has the same.
const Tags = "remote exclude_graphdriver_btrfs exclude_graphdriver_devicemapper containers_image_openpgp"
