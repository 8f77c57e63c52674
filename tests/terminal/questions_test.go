//go:build system

package terminal_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A question ends with the answer, with the end of input, and with Ctrl-C, which
// needs no line after it.
func TestQuestions(t *testing.T) {
	name := newBox(t, "asked", nil)
	exists := func(name string) bool { return exec.Command("tbx", "inspect", name).Run() == nil }
	for what, c := range map[string]struct{ keys, says string }{
		"no":           {"n\r", "tbx: not done, because you said no"},
		"nothing":      {"\r", "tbx: not done, because you said no"},
		"end of input": {"\x04", "] \ntbx: not done, because you said no"}, // on a line of its own
		"Ctrl-C":       {"\x03", "tbx: interrupted\n"},
	} {
		t.Run(what, func(t *testing.T) {
			p := openPTY(t, nil, "tbx", "rm", name)
			expect(t, p, `with everything installed in it\? \[y/N\] `)
			p.send(c.keys)
			if st := p.end(t); st.ExitStatus() != 130 {
				t.Errorf("exit status %d\n%s", st.ExitStatus(), p.shown())
			}
			if !strings.Contains(p.shown(), c.says) || !exists(name) {
				t.Errorf("%q", p.shown())
			}
		})
	}

	// Of several each is asked for, whatever the answer; Ctrl-C is for all.
	second := newBox(t, "asked-2", nil)
	p := openPTY(t, nil, "tbx", "rm", name, second)
	expect(t, p, `Remove toolbox `+name+` with`)
	p.send("\x03")
	if st := p.end(t); st.ExitStatus() != 130 || strings.Contains(p.shown(), second+" with") {
		t.Errorf("exit status %d\n%s", st.ExitStatus(), p.shown())
	}
	p = openPTY(t, nil, "tbx", "rm", name, second)
	expect(t, p, `Remove toolbox `+name+` with.*\? \[y/N\] `)
	p.send("n\r")
	expect(t, p, `Remove toolbox `+second+` with.*\? \[y/N\] `)
	p.send("y\r")
	if st := p.end(t); st.ExitStatus() != 130 || !exists(name) || exists(second) {
		t.Errorf("exit status %d, %v, %v\n%s", st.ExitStatus(), exists(name), exists(second), p.shown())
	}
}
