package podman

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// pullLine is one line of the answer to both pull endpoints.
type pullLine struct {
	// The Docker-compatible one: docker/pkg/jsonmessage.
	Status   string
	ID       string
	Progress struct{ Current, Total int64 } `json:"progressDetail"`
	// libpod's own.
	Stream string
	Images []string
	// Both.
	Error string
}

// Pull implements images.Store.
//
// The bytes come from podman itself: its Docker-compatible endpoint passes on,
// once a second, what containers/image has read of each layer and the size in
// the manifest. It takes every short name for Docker Hub's, so that short names
// go to libpod's own endpoint. That says the same where podman knows compatMode,
// as podman 5 does, and sends lines without bytes where it does not, as 4.3.
func (s *Store) Pull(ctx context.Context, ref string, opts images.PullOptions, progress images.Progress) (images.Image, error) {
	for try := 1; ; try++ {
		err := s.pull(ctx, ref, opts, progress)
		if err == nil {
			return s.Inspect(ctx, ref)
		}
		if try == pullTries || !images.WorthRetrying(err) {
			return images.Image{}, err
		}
		select {
		case <-ctx.Done():
			return images.Image{}, images.PullFailure(ref, context.Cause(ctx))
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

// pullTries limits the pulls from a registry that fails in the middle. Complete layers
// are not downloaded again.
const pullTries = 3

// pull tries once. PullFailure makes its errors, except errors from before the first
// request.
func (s *Store) pull(ctx context.Context, ref string, opts images.PullOptions, progress images.Progress) error {
	parsed, err := images.ParseRef(ref)
	if err != nil {
		return err
	}
	header, err := authHeader(opts.AuthFile, parsed.Domain)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := opts.Quiet
	if quiet == 0 {
		quiet = images.DefaultQuiet
	}
	w := &pullWatch{progress: progress, layers: map[string]*pulledLayer{}, limit: quiet}
	w.quiet = time.AfterFunc(quiet, func() { cancel(images.ErrStalled) })
	defer w.quiet.Stop()
	progress.Report(images.Event{Stage: images.StageConnect, Text: ref})

	address, query := compat+"/images/create", url.Values{"fromImage": {ref}}
	if parsed.Short() {
		address, query = libpod+"/images/pull", url.Values{"reference": {ref}, "policy": {"always"}, "compatMode": {"true"}}
	}
	if err := platform(opts.Platform, parsed.Short(), query); err != nil {
		return err
	}
	if opts.SignaturePolicy != "" {
		w.quiet.Reset(unpackQuiet * quiet) // it says nothing of bytes
		err = w.command(ctx, ref, opts)
	} else {
		var resp *http.Response
		if resp, err = s.call(ctx, request{method: http.MethodPost, address: address, query: query, header: header}); err == nil {
			err = w.read(resp.Body)
			resp.Body.Close()
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return images.PullFailure(ref, err)
	}
	return nil
}

// platform adds OS/ARCH[/VARIANT] in the words of the endpoint.
func platform(p string, libpod bool, query url.Values) error {
	if p == "" {
		return nil
	}
	parts := strings.Split(p, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return fail.New(fail.Usage, "platform %s: it must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", escape.Quote(p))
	}
	if !libpod {
		query.Set("platform", p)
		return nil
	}
	for i, key := range []string{"OS", "Arch", "Variant"}[:len(parts)] {
		query.Set(key, parts[i])
	}
	return nil
}

// pullWatch turns podman's lines into events and keeps the stall timer.
type pullWatch struct {
	progress images.Progress
	quiet    *time.Timer
	limit    time.Duration
	layers   map[string]*pulledLayer

	unpacking bool
}

type pulledLayer struct {
	done, total int64
	rest        bool // complete, or as good as: what is missing takes no half second
	ended       bool // podman said so
}

func (w *pullWatch) read(body io.Reader) error {
	var failure error
	for lines := json.NewDecoder(body); ; {
		var line pullLine
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return failure
		}
		if err != nil {
			return err
		}
		if line.Error != "" {
			failure = errors.New(escape.Text(strings.Join(strings.Fields(line.Error), " ")))
		}
		w.heard(line)
	}
}

// command pulls with the podman command, whose --signature-policy is hidden but old and
// stable: podman 2.0 to 5.
func (w *pullWatch) command(ctx context.Context, ref string, opts images.PullOptions) error {
	args := []string{"pull", "--signature-policy", opts.SignaturePolicy}
	for flag, value := range map[string]string{"--authfile": opts.AuthFile, "--platform": opts.Platform} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	cmd := hostprog.Podman(ctx, append(args, ref)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	defer tie(cmd)()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fail.Wrap(fail.Unable, err, "podman")
	}
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if text, failed := strings.CutPrefix(lines.Text(), "Error: "); failed {
			said = escape.Text(text)
			continue
		}
		w.progress.Report(images.Event{Stage: images.StageDownload, Text: lines.Text()})
		w.quiet.Reset(unpackQuiet * w.limit)
	}
	err = cmd.Wait()
	if err != nil && said != "" {
		return errors.New(said)
	}
	return err
}

func (w *pullWatch) heard(line pullLine) {
	layer := w.layers[line.ID]
	if layer == nil {
		layer = &pulledLayer{}
	}
	event := images.Event{Stage: images.StageDownload, Layer: line.ID}
	switch line.Status {
	case "Pulling fs layer":
	case "Downloading":
		// podman counts once a second and not at a layer's end, so that a
		// layer may be complete some bytes before its total.
		n := line.Progress
		layer.rest = n.Total > 0 && 2*(n.Total-n.Current) <= n.Current-layer.done
		layer.done, layer.total = n.Current, n.Total
	case "Already exists", "Download complete":
		layer.rest, layer.done = true, layer.total
		event.Text = line.Status
	default:
		if line.Stream != "" {
			w.progress.Report(images.Event{Stage: images.StageDownload, Text: strings.TrimSpace(line.Stream)})
		}
		w.quiet.Reset(w.limit) // whatever it is, it is not silence
		return
	}
	if w.layers[line.ID] == nil {
		w.layers[line.ID] = layer
	}
	event.Done, event.Total = layer.done, layer.total
	if !w.unpacking || !layer.rest || event.Text != "" && !layer.ended { // the end of a layer is told also when it was foreseen
		w.progress.Report(event)
	}
	layer.ended = event.Text != ""

	for _, l := range w.layers {
		if !l.rest {
			w.unpacking = false
			w.quiet.Reset(w.limit)
			return
		}
	}
	if !w.unpacking {
		w.unpacking = true
		w.progress.Report(images.Event{Stage: images.StageUnpack})
	}
	w.quiet.Reset(unpackQuiet * w.limit)
}

// unpackQuiet is how many times longer than a registry podman may be silent
// once all bytes are here: it then writes, in silence, gigabytes of small files.
const unpackQuiet = 20
