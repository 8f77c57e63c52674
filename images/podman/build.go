package podman

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// Build implements images.Store with the podman command: over the service the
// client itself would have to apply .containerignore and pack the directory.
func (s *Store) Build(ctx context.Context, b images.Build, progress images.Progress) (images.Image, error) {
	dir, err := os.MkdirTemp("", "tbx-build-")
	if err != nil {
		return images.Image{}, err
	}
	defer os.RemoveAll(dir)
	workdir, idFile := filepath.Join(dir, "empty"), filepath.Join(dir, "id")
	if err := os.Mkdir(workdir, 0o700); err != nil {
		return images.Image{}, err
	}
	if b.Context != "" {
		workdir = b.Context
	}
	args := []string{"build", "--file", b.File, "--tag", b.Tag, "--iidfile", idFile}
	if b.AuthFile != "" {
		args = append(args, "--authfile", b.AuthFile)
	}
	for name, value := range b.Args {
		args = append(args, "--build-arg", name+"="+value)
	}
	cmd := hostprog.Podman(ctx, append(args, workdir)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	defer tie(cmd)()
	output, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	log := &buildLog{progress: progress}
	read := make(chan struct{})
	go func() {
		defer close(read)
		log.read(output)
	}()
	err = cmd.Run()
	writer.Close()
	<-read
	if ctx.Err() != nil {
		return images.Image{}, fmt.Errorf("image %s: build: %w", b.Tag, context.Cause(ctx))
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return images.Image{}, log.failure(b, err)
	case err != nil:
		return images.Image{}, fail.Wrap(fail.Unable, err, "image %s: build", b.Tag)
	}
	id, err := os.ReadFile(idFile)
	if err != nil {
		return images.Image{}, fmt.Errorf("image %s: build: %w", b.Tag, err)
	}
	return s.Inspect(ctx, strings.TrimPrefix(strings.TrimSpace(string(id)), "sha256:"))
}

// tie makes cmd end with tbx, however tbx ends (Pdeathsig), and ignore the terminal's
// Ctrl-C, which tbx passes on (a process group of its own). Pdeathsig follows the thread
// that started cmd, so that thread is locked: call untie after cmd has ended.
func tie(cmd *exec.Cmd) (untie func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	return runtime.UnlockOSThread
}

// buildLog forwards the lines of a build and keeps those that explain a failure.
type buildLog struct {
	progress images.Progress
	step     string   // the last "[N/M] STEP N/M: …"; without [N/M] where there is one stage
	said     []string // podman's own error
	log      []string // its log, which may tell more
	tail     []string // last lines of the step
}

func (l *buildLog) read(output io.Reader) {
	lines := bufio.NewReader(output) // a Scanner gives up on a long line
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			l.heard(line)
		}
		if err != nil {
			return
		}
	}
}

func (l *buildLog) heard(line string) {
	l.progress.Report(images.Event{Stage: images.StageBuild, Text: line})
	text, failed := strings.CutPrefix(line, "Error: ")
	switch {
	case isStep(line):
		l.step, l.said, l.log, l.tail = line, nil, nil, nil
	case strings.HasPrefix(line, `time="`):
		l.log = append(l.log, line)
	case failed:
		l.tail = append(l.tail, l.said...) // that was the step's, then
		l.said = []string{text}
	case len(l.said) > 0 && len(l.said) < maxSaid:
		l.said = append(l.said, strings.TrimSpace(line))
	default:
		l.tail = append(append(l.tail, l.said...), line)
		l.said = nil
	}
	l.tail, l.log = l.tail[max(0, len(l.tail)-3):], l.log[max(0, len(l.log)-3):]
}

// maxSaid is the largest number of lines in an error of podman. A longer text comes from
// a step whose output also begins with Error.
const maxSaid = 10

// isStep reports whether a line begins a step: "STEP N/M: …", after "[N/M] " if there
// are several stages.
func isStep(line string) bool {
	if stage, rest, found := strings.Cut(line, "] "); found && strings.HasPrefix(stage, "[") {
		line = rest
	}
	return strings.HasPrefix(line, "STEP ")
}

// from is the base image of the step, if it has one.
func (l *buildLog) from() (ref string, ok bool) {
	_, instruction, _ := strings.Cut(l.step, ": ")
	words := strings.Fields(instruction)
	if len(words) == 0 || words[0] != "FROM" {
		return "", false
	}
	i := slices.IndexFunc(words[1:], func(w string) bool { return !strings.HasPrefix(w, "--") })
	if i < 0 {
		return "", false
	}
	return words[1+i], true
}

func (l *buildLog) failure(b images.Build, err error) error {
	if len(l.said) > 0 {
		err = errors.New(escape.Text(strings.Join(l.said, " ")))
	}
	if ref, ok := l.from(); ok {
		err = images.PullFailure(ref, err)
		if r, perr := images.ParseRef(ref); perr == nil && r.Local() && errors.Is(err, images.ErrUnreachable) {
			err = fail.New(fail.NotFound, "image %s: it is not in the local store", escape.Text(ref)).Hint("tbx image list shows what is here")
		}
		return fail.Wrap(nil, err, "image %s: build of %s", b.Tag, escape.Text(b.File))
	}
	e := fail.Wrap(nil, err, "image %s: build of %s", b.Tag, escape.Text(b.File))
	if l.step != "" {
		e.Msg += ": " + escape.Text(strings.Replace(l.step, "STEP ", "", 1))
	}
	for _, line := range l.tail {
		e.Hint("the step said: %s", escape.Text(line))
	}
	images.NameFullDisk(e, append(l.log, l.tail...)...)
	if l.step != "" {
		e.Hint("steps before it are kept, so that the next build goes on from there")
	}
	return e
}
