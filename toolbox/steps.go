package toolbox

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// writeSteps writes the initialiser's events for people.
func writeSteps(r io.Reader, w io.Writer) error {
	events := json.NewDecoder(r)
	for {
		var ev boxinit.Event
		if err := events.Decode(&ev); err != nil {
			return nil // the end, or what a killed start left
		}
		var err error
		switch {
		case ev.Warning != "":
			_, err = fmt.Fprintf(w, "  warning: %s\n", escape.Text(ev.Warning))
		case ev.Error != "":
			_, err = fmt.Fprintf(w, "  failed: %s\n", escape.Text(ev.Error))
		case ev.Ready != nil:
			_, err = fmt.Fprintln(w, "ready")
		default:
			_, err = fmt.Fprintf(w, "set up: %s\n", escape.Text(ev.Step))
		}
		if ev.Hint != "" && err == nil {
			_, err = fmt.Fprintf(w, "  hint: %s\n", escape.Text(ev.Hint))
		}
		if err != nil {
			return err
		}
	}
}
