// Package progress shows on standard error what takes long, and nothing of what
// does not: a stage is shown when it has lasted Delay. On a terminal it is one
// line that vanishes with the stage; elsewhere it is one line a stage.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// Delay is how long a stage may last in silence.
const Delay = 300 * time.Millisecond

// Display shows stages and warnings. Its methods may be called concurrently.
type Display struct {
	w        io.Writer
	terminal bool
	quiet    bool

	mu     sync.Mutex
	text   string
	timer  *time.Timer
	shown  bool // text is on the screen
	warned map[string]bool
}

// New returns a Display that writes to w. quiet leaves out the stages.
func New(w io.Writer, terminal, quiet bool) *Display {
	return &Display{w: w, terminal: terminal, quiet: quiet, warned: map[string]bool{}}
}

// Stage ends the current stage and begins another. An empty text only ends.
func (d *Display) Stage(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	if text == "" || d.quiet {
		return
	}
	d.text = escape.Text(text)
	d.timer = time.AfterFunc(Delay, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.text == "" || d.shown {
			return
		}
		d.shown = true
		if d.terminal {
			fmt.Fprintf(d.w, "\r\033[K%s …", d.text)
		} else {
			fmt.Fprintf(d.w, "tbx: %s ...\n", d.text)
		}
	})
}

// Update changes the text of the current stage, as for a share that is done. It
// is shown on a terminal only, and only once the stage is.
func (d *Display) Update(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.text == "" {
		return
	}
	d.text = escape.Text(text)
	if d.shown && d.terminal {
		fmt.Fprintf(d.w, "\r\033[K%s …", d.text)
	}
}

// Warn says once what does not work.
func (d *Display) Warn(text, hint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.warned[text] {
		return
	}
	d.warned[text] = true
	if d.shown && d.terminal {
		fmt.Fprint(d.w, "\r\033[K")
		d.shown = false
	}
	fmt.Fprintf(d.w, "tbx: warning: %s\n", escape.Text(text))
	if hint != "" {
		fmt.Fprintf(d.w, "tbx: hint: %s\n", escape.Text(hint))
	}
}

// Close ends the current stage. The Display can be used again.
func (d *Display) Close() { d.Stage("") }

func (d *Display) end() {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.shown && d.terminal {
		fmt.Fprint(d.w, "\r\033[K")
	}
	d.text, d.shown, d.timer = "", false, nil
}
