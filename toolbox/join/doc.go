// Package join enters a running toolbox without podman: it finds the container's first
// process from tbx's record, checks that the record still holds, moves itself into the
// container's cgroup, joins its namespaces and becomes the command.
//
// There is no process between the terminal and the command, so exit codes, signals, job
// control, descriptors, umask and limits are right by construction. If the package cannot
// prove something, it returns ErrStale, and the caller uses podman. It must not import
// podman's bindings: it is what makes tbx fast. Read Record, then Open, then Target.Exec.
package join
