// Package podman is toolbox.Engine over podman's bindings. It talks to a podman
// service of tbx's own, started on demand, so that the storage and the settings
// are those of the user's podman command. It may import the bindings, and is the
// only package beside images/podman that does.
package podman
