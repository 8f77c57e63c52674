package cmd

import (
	"fmt"

	"github.com/tbx-project/tbx/images"
)

// imageProgress shows what happens to an image.
func (e *Env) imageProgress() images.Progress {
	stage := images.Stage("")
	layers := map[string]images.Event{}
	return func(ev images.Event) {
		text := map[images.Stage]string{
			images.StageConnect:   "asking the registry",
			images.StageDownload:  "downloading the image",
			images.StageUnpack:    "unpacking the image",
			images.StageBootstrap: "making the image from the package mirror",
			images.StagePrepare:   "preparing the image for toolboxes, once",
			images.StageBuild:     "building the image",
		}[ev.Stage]
		if ev.Stage != stage {
			stage = ev.Stage
			e.progress().Stage(text)
		}
		switch ev.Stage {
		case images.StageDownload:
			layers[ev.Layer] = ev
			var done, total int64
			for _, l := range layers {
				done, total = done+l.Done, total+l.Total
			}
			if total > 0 {
				e.progress().Update(fmt.Sprintf("%s: %s of %s", text, size(done), size(total)))
			}
		case images.StageBootstrap, images.StageBuild:
			if ev.Text != "" {
				e.progress().Update(text + ": " + ev.Text)
			}
		}
	}
}

// size writes a number of bytes for people, in powers of ten.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit && exp < 4; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %cB", float64(n)/float64(div), "kMGTP"[exp])
}
