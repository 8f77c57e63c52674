package pkg

import (
	"sync"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/toolbox"
)

// board shows the progress of several toolboxes: on a terminal a line for each, which is
// erased at the end; elsewhere a line at the begin and at the end of each.
type board struct {
	env   *fetch.Env
	title string

	mu    sync.Mutex
	names []string
	lines []string
}

func newBoard(env *fetch.Env, title string, boxes []*toolbox.Box) *board {
	b := &board{env: env, title: title, lines: make([]string, len(boxes))}
	for _, box := range boxes {
		b.names = append(b.names, string(box.Name))
	}
	env.Progress().Stage(title)
	return b
}

// of returns the function that reports the progress of a toolbox.
func (b *board) of(i int) func(string) {
	begun := false
	return func(text string) {
		if !begun && !cli.IsTerminal(b.env.Err) {
			b.env.Progress().Line("tbx: " + b.names[i] + ": " + text)
		}
		begun = true
		b.set(i, text)
	}
}

// done reports the end of one.
func (b *board) done(i int, text string) {
	if !cli.IsTerminal(b.env.Err) {
		b.env.Progress().Line("tbx: " + b.names[i] + ": " + text)
	}
	b.set(i, text)
}

func (b *board) set(i int, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines[i] = text
	var below []string
	for k, l := range b.lines {
		if l != "" {
			below = append(below, "  "+b.names[k]+"  "+cli.Shorten(l))
		}
	}
	b.env.Progress().Update(b.title, below...)
}

func (b *board) close() { b.env.Progress().Close() }
