// Package scriptcmd holds the commands that the txtar scripts of tests/scripts
// and tests/system have beyond testscript's own. It must not be imported by
// anything but tests.
package scriptcmd

import (
	"bytes"
	"errors"
	"os/exec"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Commands returns the commands by their names:
//
//	exits CODE PROGRAM [ARG...]             run it; it must end with that code
//	until PROGRAM [ARG...]                  run it again and again until it succeeds
//	schema NAME FILE                        FILE (or stdout) holds one JSON value after docs/schema/NAME.json
func Commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "until": until, "schema": schema}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d (%v)", got, want, err)
	}
}

// until bounds what never comes true; it says nothing of how long it may take.
func until(ts *testscript.TestScript, neg bool, args []string) {
	const patience = 60 * time.Second
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until PROGRAM [ARG...]")
	}
	var err error
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
	}
	ts.Fatalf("still not so: %v\n[stdout]\n%s[stderr]\n%s", err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

func schema(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: schema NAME FILE")
	}
	s, err := jsonschema.NewCompiler().Compile("../../docs/schema/" + args[0] + ".json") // tests stand in their package
	ts.Check(err)
	text := ts.ReadFile(args[1])
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		ts.Fatalf("%s is not one JSON value: %v\n%s", args[1], err, text)
	}
	err = s.Validate(value)
	if err != nil && !neg {
		ts.Fatalf("%#v\n%s", err, text)
	}
	if err == nil && neg {
		ts.Fatalf("the schema %s allows this:\n%s", args[0], text)
	}
}
