package layers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// Copy is a copy of a directory in progress, in podman's user namespace, made by package
// treecopy in tbx-box. Until Commit there is nothing at its place; Close without Commit
// removes it.
type Copy struct {
	treecopy.Measured // the amount to copy, and the room for it

	what     string
	progress func(done treecopy.Size)
	cmd      *exec.Cmd
	in       io.WriteCloser
	events   *json.Decoder
	errs     strings.Builder
	stop     func() bool
	ended    bool
}

// Tree is a directory to copy, and the target: an empty or missing one.
type Tree struct {
	What     string // for messages, such as "toolbox web"
	From, To string // absolute
}

// CopyOf returns the tree that copies one layer's contents to another layer's place. The
// target's container must never have been started.
func CopyOf(what string, from, to *Layer) Tree { return Tree{what, from.Upper, to.Upper} }

// StartCopy measures a copy and prepares it; nothing is copied yet. progress, which may
// be nil, gets the progress of a pass. When ctx ends, so does the copy.
func (s Space) StartCopy(ctx context.Context, t Tree, progress func(done treecopy.Size)) (*Copy, error) {
	c := &Copy{what: t.What, progress: progress}
	if err := c.start(ctx, s.command(context.WithoutCancel(ctx), s.Helper, "copy", t.From, filepath.Dir(t.To),
		filepath.Base(t.To))); err != nil {
		return nil, err
	}
	ev, err := c.next()
	if err == nil && ev.Size == nil {
		err = errors.New("tbx-box did not say how much there is to copy")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.Measured = *ev.Size
	return c, nil
}

// start starts the helper.
func (c *Copy) start(ctx context.Context, cmd *exec.Cmd) (err error) {
	c.cmd = cmd
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends tbx, and that ends it in order
	c.cmd.Stderr = &c.errs
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return fail.Wrap(fail.Unable, err, "%s cannot be copied", c.what)
	}
	c.events = json.NewDecoder(out)
	c.stop = context.AfterFunc(ctx, func() { c.in.Close() })
	return nil
}

// next returns the next event that is not progress.
func (c *Copy) next() (*treecopy.Event, error) {
	for {
		ev := &treecopy.Event{}
		err := c.events.Decode(ev)
		switch {
		case err != nil:
			return nil, c.broken(err)
		case ev.Failed != nil:
			e := fail.New(nil, "%s cannot be copied: %s", c.what, escape.Text(ev.Failed.Text))
			if ev.Failed.Full {
				e.Hint("make room: see df -h and podman system df")
			}
			return nil, e
		case ev.Progress == nil:
			return ev, nil
		case c.progress != nil:
			c.progress(*ev.Progress)
		}
	}
}

// broken returns why there is no event: the helper has ended.
func (c *Copy) broken(err error) error {
	said := strings.TrimSpace(strings.TrimPrefix(c.end(), "tbx-box:"))
	if said == treecopy.ErrCanceled.Error() {
		return fail.New(fail.Canceled, "%s was not copied: canceled", c.what)
	}
	if said == "" {
		said = err.Error()
	}
	return fail.New(nil, "%s cannot be copied: its helper ended: %s", c.what, escape.Text(said)).
		Hint("see whether this works: podman unshare true")
}

// Pass copies the differences. With a cgroup, which is a directory, its processes stand
// still meanwhile.
func (c *Copy) Pass(cgroup string) (*treecopy.Passed, error) {
	order := treecopy.OrderPass
	if cgroup != "" {
		order = treecopy.OrderFrozen + " " + cgroup
	}
	ev, err := c.order(order)
	if err != nil {
		if cgroup != "" { // a killed tbx could not
			err = errors.Join(err, treecopy.Thaw(cgroup))
		}
		return nil, err
	}
	if ev.Pass == nil {
		return nil, fmt.Errorf("tbx-box did not say what it copied of %s", c.what)
	}
	return ev.Pass, nil
}

// Commit puts the complete copy at its place, on the disk, and ends.
func (c *Copy) Commit() error {
	ev, err := c.order(treecopy.OrderCommit)
	if err == nil && !ev.Done {
		err = fmt.Errorf("tbx-box did not say that the copy of %s is made", c.what)
	}
	c.end()
	return err
}

func (c *Copy) order(order string) (*treecopy.Event, error) {
	if _, err := io.WriteString(c.in, order+"\n"); err != nil {
		return nil, c.broken(err)
	}
	return c.next()
}

// Close ends a copy that was not committed, and waits until its files are removed. After
// Commit it does nothing.
func (c *Copy) Close() { c.end() }

// end waits for the helper and returns its messages.
func (c *Copy) end() string {
	if !c.ended {
		c.ended = true
		c.stop()
		c.in.Close()
		for c.events.Decode(&treecopy.Event{}) == nil { // or it would wait for a reader
		}
		_ = c.cmd.Wait() // its message counts
	}
	return c.errs.String()
}

// RemovePart removes leftovers of a killed copy beside its place.
func (s Space) RemovePart(ctx context.Context, place string) error {
	cmd := s.command(ctx, s.Helper, "copy", "--remove", filepath.Dir(place), filepath.Base(place))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fail.Wrap(nil, err, "%s cannot be removed: %s", treecopy.Part(filepath.Dir(place), filepath.Base(place)),
			escape.Text(strings.TrimSpace(string(out))))
	}
	return nil
}
