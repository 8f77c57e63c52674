package osupdatetest

import (
	"strconv"
	"strings"
	"testing"
)

// Recorded is one call of a real program that was recorded: "$ COMMAND", its exit
// code, what it wrote.
type Recorded struct {
	Command string
	Code    int
	Stdout  string
	Stderr  string
}

// ReadRecorded reads a file of recorded calls: each begins with "$ " and the command,
// has a line "exit N" or "[exit N]", and the output behind "--- stdout" and "--- stderr".
func ReadRecorded(t testing.TB, file string) []Recorded {
	t.Helper()
	var out []Recorded
	for _, block := range strings.Split("\n"+Read(t, file), "\n$ ")[1:] {
		command, rest, _ := strings.Cut(block, "\n")
		head, body, ok := strings.Cut(rest, "--- stdout\n")
		if !ok {
			continue
		}
		r := Recorded{Command: command}
		for line := range strings.Lines(head) {
			code, found := strings.CutPrefix(strings.Trim(strings.TrimSpace(line), "[]"), "exit ")
			if !found {
				continue
			}
			n, err := strconv.Atoi(code)
			if err != nil {
				t.Fatalf("%s: %q: %v", file, command, err)
			}
			r.Code = n
		}
		r.Stdout, r.Stderr, _ = strings.Cut(body, "--- stderr")
		r.Stderr = strings.TrimPrefix(r.Stderr, "\n")
		out = append(out, r)
	}
	if len(out) == 0 {
		t.Fatalf("%s: no recorded call", file)
	}
	return out
}
