// Package root is tbx's command line from main to exit code: the command tbx itself, its
// flags, and the printing of errors. The commands are packages of their own beside it, by
// noun. Each reads options, calls one exported function of a domain package and prints
// the result. A main program lists its commands. This package must not import any of
// them. Read Main, then cli.Env, then any command.
package root
