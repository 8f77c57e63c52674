package layers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// PackOrder returns the order to pack the tree below dir, or to unpack one there, for
// containers with l's maps of ids.
func (l *Layer) PackOrder(dir, name string) treecopy.PackOrder {
	return treecopy.PackOrder{Dir: dir, Name: name, UIDs: l.UIDs, GIDs: l.GIDs}
}

// Measure returns the size of a directory's contents.
func (s Space) Measure(ctx context.Context, dir string) (treecopy.Size, error) {
	var size treecopy.Size
	var out strings.Builder
	err := s.pack(ctx, nil, &out, "measure", dir)
	if err == nil {
		err = json.Unmarshal([]byte(out.String()), &size)
	}
	if err != nil {
		return size, fail.Wrap(nil, err, "%s cannot be looked at", dir).Hint("see whether this works: podman unshare true")
	}
	return size, nil
}

// Pack writes an archive by o, see treecopy.Pack. what is for messages.
func (s Space) Pack(ctx context.Context, what string, o treecopy.PackOrder, out io.Writer) error {
	arg, err := json.Marshal(o)
	if err == nil {
		err = s.pack(ctx, nil, out, "pack", string(arg))
	}
	if ctx.Err() != nil {
		return fail.New(fail.Canceled, "%s was not saved: canceled", what)
	}
	if err != nil {
		return fail.Wrap(nil, err, "%s cannot be saved", what)
	}
	return nil
}

// pack runs tbx-box with an output that is not looked at.
func (s Space) pack(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := s.command(ctx, append([]string{s.Helper}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errs strings.Builder
	to := &writer{Writer: out}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, to, &errs
	err := cmd.Run()
	switch said := strings.TrimSpace(strings.TrimPrefix(errs.String(), "tbx-box:")); {
	case to.err != nil:
		return to.err // it ended for that
	case err != nil && said != "":
		return errors.New(escape.Text(said))
	}
	return err
}

// writer remembers why it could not write.
type writer struct {
	io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// reader remembers why it could not read.
type reader struct {
	io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Unpack makes a tree from the archive in from, see treecopy.Unpack. Nothing is at its
// place until Commit of the result.
func (s Space) Unpack(ctx context.Context, what string, o treecopy.PackOrder, from io.Reader) (*Copy, error) {
	arg, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	c := &Copy{what: what}
	if err := c.start(ctx, s.command(context.WithoutCancel(ctx), s.Helper, "unpack", string(arg))); err != nil {
		return nil, err
	}
	in := &reader{Reader: from}
	// A helper that takes no more says itself why.
	io.Copy(c.in, in)
	switch {
	case in.err != nil:
		err = in.err
	case ctx.Err() != nil:
		err = fail.New(fail.Canceled, "%s was not unpacked: canceled", what)
	default:
		var ev *treecopy.Event
		if ev, err = c.next(); err == nil && ev.Pass == nil {
			err = errors.New("tbx-box did not say that it has unpacked " + what)
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
