// Package hostbridge is the host's side of the bridge: it lets a program in a toolbox run
// a command on the host, as far as the owner's policy allows, and logs each request and
// its result.
//
// Serve is the agent, one process per user; Ensure starts it and registers a toolbox. A
// request goes through identify (who asks), Policy.Decide (may it), an Asker (does the
// owner agree), AuditLog (the record) and then to a runner (package runner), which runs
// it. Read request.go first.
//
// It knows nothing of containers: a caller passes a function that describes a toolbox. It
// prints nothing and must not import toolbox or cmd.
//
// In a toolbox that shares the home directory the bridge is no security boundary: the
// home alone lets a program there run code on the host. In an isolated toolbox it is one.
package hostbridge
