// Package root is tbx's command line from main to exit code: the command tbx itself,
// its flags, and the way of an error to the user. The commands are packages of
// their own beside it, by noun; each reads options, calls one exported function of a
// domain package and prints what that returns. A main program says which it has.
// This package must not import any of them. Read Main, then cli.Env, then any command.
package root
