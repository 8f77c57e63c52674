// Package progress shows long work on standard error, and nothing of short work: a stage
// appears when it has lasted Delay. On a terminal it is one line, perhaps with a few
// lines below, which disappear with the stage; elsewhere it is one line a stage.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// Delay is how long a stage stays hidden.
const Delay = 300 * time.Millisecond

// Display shows stages and warnings. Its methods may be called concurrently.
type Display struct {
	w        io.Writer
	terminal bool
	quiet    bool

	mu     sync.Mutex
	text   string
	below  []string // further lines of the stage
	timer  *time.Timer
	shown  bool // text and below are on the screen
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
			d.draw()
		} else {
			fmt.Fprintf(d.w, "tbx: %s ...\n", d.text)
		}
	})
}

// Update changes the text of the current stage, for example to its progress, and the
// lines below it. It is shown on a terminal only, and only together with the stage.
func (d *Display) Update(text string, below ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.text == "" {
		return
	}
	d.text, d.below = escape.Text(text), nil
	for _, line := range below {
		d.below = append(d.below, escape.Text(line))
	}
	if d.shown {
		d.draw()
	}
}

// Line writes a line that stays, above the stage. quiet leaves it out.
func (d *Display) Line(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quiet {
		return
	}
	d.above("%s\n", escape.Text(text))
}

// Remark prints, once, a note that needs no action. quiet leaves it out.
func (d *Display) Remark(text, hint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quiet || d.warned[text] {
		return
	}
	d.warned[text] = true
	d.above("tbx: %s\n%s", escape.Text(text), hintLine(hint))
}

func hintLine(hint string) string {
	if hint == "" {
		return ""
	}
	return "tbx: hint: " + escape.Text(hint) + "\n"
}

// Warn prints, once, a problem.
func (d *Display) Warn(text, hint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.warned[text] {
		return
	}
	d.warned[text] = true
	d.above("tbx: warning: %s\n%s", escape.Text(text), hintLine(hint))
}

// Close ends the current stage. The Display can be used again.
func (d *Display) Close() { d.Stage("") }

func (d *Display) end() {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.shown {
		d.erase()
	}
	d.text, d.below, d.shown, d.timer = "", nil, false, nil
}

// above writes a lasting line, and below it the stage again, if that is shown.
func (d *Display) above(format string, args ...any) {
	if d.shown {
		d.erase()
	}
	fmt.Fprintf(d.w, format, args...)
	if d.shown {
		d.draw()
	}
}

// draw writes the stage over the previous one and leaves the cursor in its first line.
// Meanwhile the terminal does not wrap, so that each line takes one row, however narrow
// the terminal is.
func (d *Display) draw() {
	if !d.terminal {
		return
	}
	up := ""
	if len(d.below) > 0 {
		up = fmt.Sprintf("\033[%dA", len(d.below))
	}
	lines := strings.Join(append([]string{d.text + " …"}, d.below...), "\r\n")
	fmt.Fprintf(d.w, "\033[?7l\r\033[J%s%s\r\033[?7h", lines, up)
}

// erase clears from the stage's first line to the end of the screen.
func (d *Display) erase() {
	if d.terminal {
		fmt.Fprint(d.w, "\r\033[J")
	}
}
