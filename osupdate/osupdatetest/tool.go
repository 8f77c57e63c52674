// Package osupdatetest holds what the tests of every backend share: a fake
// program for the process boundary, and the suite that every backend passes.
package osupdatetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Call is one way in which a fake program may be called, and its answer.
type Call struct {
	In     string // the state in which it may come; empty: any
	Args   string // the arguments, joined by spaces; must match exactly
	Stdout string
	Stderr string
	Code   int
	To     string // the state after it; empty: unchanged
	Shell  string // run before answering: "sleep 60", or to change a file
	Maybe  bool   // the test need not make this call
}

// Tool is a directory of fake programs that share one state. A call that is not
// declared fails the test, and so does a declared call that never came.
type Tool struct {
	Dir string
}

// NewTool makes the fake programs; the keys of programs are their names.
func NewTool(t *testing.T, state string, programs map[string][]Call) *Tool {
	t.Helper()
	tool := &Tool{Dir: t.TempDir()}
	tool.write(t, "state", state)
	tool.write(t, "calls", "")
	tool.write(t, "strays", "")
	for name, calls := range programs {
		script := &strings.Builder{}
		fmt.Fprintf(script, "#!/bin/sh\nd=%s\nread -r s <$d/state\ncase \"$s|$*\" in\n", tool.Dir)
		for i, c := range calls {
			base := fmt.Sprintf("%s.%d", name, i)
			tool.write(t, base+".out", c.Stdout)
			tool.write(t, base+".err", c.Stderr)
			in := c.In
			if in != "" {
				in = quote(in)
			} else {
				in = "*"
			}
			fmt.Fprintf(script, "%s'|'%s) echo %s >>$d/calls\n", in, quote(c.Args), base)
			if c.Shell != "" {
				fmt.Fprintln(script, c.Shell)
			}
			if c.To != "" {
				fmt.Fprintf(script, "echo %s >$d/state.$$; mv $d/state.$$ $d/state\n", quote(c.To)) // others read it
			}
			fmt.Fprintf(script, "cat $d/%s.err >&2; cat $d/%s.out; exit %d;;\n", base, base, c.Code)
		}
		fmt.Fprintf(script, "esac\necho \"%s in state $s: $*\" >>$d/strays\necho \"fake %s: not expected: $*\" >&2\nexit 97\n", name, name)
		if err := os.WriteFile(filepath.Join(tool.Dir, name), []byte(script.String()), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if strays := tool.read(t, "strays"); strays != "" {
			t.Errorf("calls that were not expected:\n%s", strays)
		}
		made := tool.read(t, "calls")
		for name, calls := range programs {
			for i, c := range calls {
				if !c.Maybe && !strings.Contains(made, fmt.Sprintf("%s.%d\n", name, i)) {
					t.Errorf("never called in state %q: %s %s", c.In, name, c.Args)
				}
			}
		}
	})
	return tool
}

// State is the state that the fake host is in.
func (tool *Tool) State(t *testing.T) string { return strings.TrimSpace(tool.read(t, "state")) }

// SetState puts the fake host into a state.
func (tool *Tool) SetState(t *testing.T, s string) { tool.write(t, "state", s) }

func (tool *Tool) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tool.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (tool *Tool) write(t *testing.T, name, text string) {
	t.Helper()
	if name == "state" {
		text += "\n"
	}
	if err := os.WriteFile(filepath.Join(tool.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
