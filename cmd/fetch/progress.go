package fetch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/bytesize"
)

// stageText has the display's text for each stage.
var stageText = map[images.Stage]string{
	images.StageConnect:   "asking the registry",
	images.StageDownload:  "downloading the image",
	images.StageUnpack:    "unpacking the image",
	images.StageBootstrap: "making the image from the package mirror",
	images.StagePrepare:   "preparing the image for toolboxes, once",
	images.StageBuild:     "building the image",
}

const (
	maxLayers  = 5                // lines of layers on a terminal
	plainEvery = 10 * time.Second // between two lines elsewhere
	rateOver   = 5 * time.Second  // the rate is that of this time
)

// Display shows the progress of one image.
type Display struct {
	env      *Env
	terminal bool
	expected int64 // bytes that the registry announced; 0: it did not

	stage    images.Stage
	layers   []images.Event // the latest of each layer, in the order of their appearance
	samples  []sample       // sums of the last rateOver
	lastLine time.Time
}

type sample struct {
	at   time.Time
	done int64
}

// NewDisplay returns the display for one image.
func (e *Env) NewDisplay() *Display {
	return &Display{env: e, terminal: cli.IsTerminal(e.Err)}
}

// Event is an images.Progress.
func (d *Display) Event(ev images.Event) { d.at(time.Now(), ev) }

func (d *Display) at(now time.Time, ev images.Event) {
	p := d.env.Progress()
	if ev.Stage == images.StageWarning {
		p.Warn(ev.Text, "")
		return
	}
	known := slices.ContainsFunc(d.layers, func(l images.Event) bool { return l.Layer == ev.Layer })
	if ev.Stage == images.StageDownload && ev.Text != "" && d.stage == images.StageUnpack && known {
		d.ended(ev) // podman unpacks already, and must not seem to go back
		return
	}
	text := stageText[ev.Stage]
	if ev.Stage != d.stage {
		d.stage, d.lastLine = ev.Stage, now
		if ev.Stage == images.StagePrepare && ev.Total > 0 {
			// The mapped layers lie beside the unmapped ones.
			text += ": " + bytesize.Text(ev.Total) + " more on disk"
		}
		if ev.Stage != images.StageBuild || d.terminal { // elsewhere the build's own lines say it
			p.Stage(text)
		}
	}
	switch ev.Stage {
	case images.StageDownload:
		d.download(now, ev)
	case images.StageBootstrap:
		if ev.Text != "" {
			p.Update(text + ": " + ev.Text)
		} else if ev.Done > 0 {
			p.Update(fmt.Sprintf("%s: %s", text, bytesize.Text(ev.Done)))
		}
	case images.StageBuild:
		if ev.Text != "" {
			p.Line(ev.Text)
		}
	}
}

// download records the progress of one layer and shows all of them.
func (d *Display) download(now time.Time, ev images.Event) {
	if ev.Layer == "" { // podman reports no bytes, only that it works
		if ev.Text != "" {
			d.env.Progress().Update(stageText[ev.Stage] + ": " + ev.Text)
		}
		return
	}
	i := slices.IndexFunc(d.layers, func(l images.Event) bool { return l.Layer == ev.Layer })
	if i < 0 {
		i = len(d.layers)
		d.layers = append(d.layers, images.Event{Layer: ev.Layer})
	}
	d.ended(ev)
	d.layers[i] = ev
	done, total := int64(0), int64(0)
	for _, l := range d.layers {
		done, total = done+l.Done, total+l.Total
	}
	d.samples = append(d.samples, sample{now, done})
	for len(d.samples) > 2 && now.Sub(d.samples[0].at) > rateOver {
		d.samples = d.samples[1:]
	}
	text := stageText[images.StageDownload] + d.sum(done, max(total, d.expected))
	if d.terminal {
		d.env.Progress().Update(text, d.lines()...)
		return
	}
	if now.Sub(d.lastLine) >= plainEvery {
		d.lastLine = now
		d.env.Progress().Line("tbx: " + text)
	}
}

// ended writes the line of a complete layer, once, where there is no terminal.
func (d *Display) ended(ev images.Event) {
	i := slices.IndexFunc(d.layers, func(l images.Event) bool { return l.Layer == ev.Layer })
	if d.terminal || ev.Text == "" || d.layers[i].Text != "" {
		return
	}
	d.layers[i] = ev
	bytes := ""
	if ev.Total > 0 {
		bytes = bytesize.Text(ev.Total) + ", "
	}
	d.env.Progress().Line("tbx: layer " + ev.Layer + ": " + bytes + strings.ToLower(ev.Text))
}

// sum writes the amount, the rate and the time left.
func (d *Display) sum(done, total int64) string {
	if total == 0 {
		return ""
	}
	text := fmt.Sprintf(": %s of %s", bytesize.Text(done), bytesize.Text(total))
	first, last := d.samples[0], d.samples[len(d.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if bytes := last.done - first.done; seconds > 0 && bytes > 0 && done < total {
		rate := float64(bytes) / seconds
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf(", %s/s, %s left", bytesize.Text(int64(rate)), left)
	}
	return text
}

// lines returns the lines of the layers in progress.
func (d *Display) lines() []string {
	var out []string
	more := 0
	for _, l := range d.layers {
		switch {
		case l.Text != "" || l.Total == 0:
		case len(out) == maxLayers:
			more++
		default:
			out = append(out, fmt.Sprintf("  %-12s  %s  %s of %s", l.Layer, cli.Bar(l.Done, l.Total), bytesize.Text(l.Done), bytesize.Text(l.Total)))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("  and %d more", more))
	}
	return out
}
