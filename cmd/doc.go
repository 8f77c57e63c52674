// Package cmd is tbx's command line: it reads options, calls one exported
// function of a domain package and prints what that returns. It holds the only
// mapping from errors to exit codes. It must not import podman's bindings, and no
// domain package imports it. Read Main, then Env, then any command.
package cmd
