// Package auto keeps a host current by itself: it decides when package osupdate does what.
// osupdate stays the only way to change a host. Nothing of it stays in memory: a timer
// starts Runner.Run, which takes as many steps of the machine (package machine) as can be
// taken now, and ends.
//
// It must not print, ask or exit, and must not change a host by any other call than those
// of Host.
package auto
