package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Ask asks a question whose default is No. Without a terminal nobody can answer, so --yes
// must.
func (e *Env) Ask(question string) error {
	if e.Yes {
		return nil
	}
	if !IsTerminal(e.In) || !IsTerminal(e.Err) {
		return fail.New(fail.NeedAnswer, "there is no terminal to ask on: %s", question).Hint("answer beforehand with --yes")
	}
	e.Progress().Close()
	fmt.Fprintf(e.Err, "%s [y/N] ", escape.Text(question))
	if e.SaysYes() {
		return nil
	}
	if e.Interrupted() {
		return errInterrupted()
	}
	return fail.New(fail.Canceled, "not done, because you said no")
}

// SaysYes reads the answer to a question whose default is No. The end of input means No
// too.
func (e *Env) SaysYes() bool {
	line, _ := e.readLine()
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}

// Pick lets the user choose one of several, by number.
func (e *Env) Pick(question string, choices []string) (int, error) {
	if !IsTerminal(e.In) || !IsTerminal(e.Err) {
		return 0, fail.New(fail.NeedAnswer, "there is no terminal to ask on: %s", question)
	}
	e.Progress().Close()
	for i, c := range choices {
		fmt.Fprintf(e.Err, "%3d  %s\n", i+1, escape.Text(c))
	}
	fmt.Fprintf(e.Err, "%s [1-%d] ", escape.Text(question), len(choices))
	line, err := e.readLine()
	if e.Interrupted() {
		return 0, errInterrupted()
	}
	var n int
	if _, serr := fmt.Sscanf(strings.TrimSpace(line), "%d", &n); err != nil || serr != nil || n < 1 || n > len(choices) {
		return 0, fail.New(fail.Canceled, "nothing was chosen")
	}
	return n - 1, nil
}

// readLine reads from the terminal byte by byte, so that the input after the line is left
// for the session. Ctrl-C ends it, also where signals are caught.
func (e *Env) readLine() (string, error) {
	type input struct {
		line string
		err  error
	}
	read := make(chan input, 1)
	go func() {
		line, err := bufio.NewReaderSize(oneByte{e.In}, 16).ReadString('\n')
		read <- input{line, err}
	}()
	select {
	case in := <-read:
		if in.err != nil { // end of input, with the cursor behind the question
			fmt.Fprintln(e.Err)
		}
		return in.line, in.err
	case <-e.signals.done: // the reader stays behind: tbx is about to end
		fmt.Fprintln(e.Err)
		return "", context.Canceled
	}
}

// oneByte makes a buffered reader read no more than it returns.
type oneByte struct {
	f interface{ Read([]byte) (int, error) }
}

func (o oneByte) Read(p []byte) (int, error) { return o.f.Read(p[:min(1, len(p))]) }
