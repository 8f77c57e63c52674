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

// Copy is a copy of a directory that is being made in podman's user namespace, by
// package treecopy in tbx-box. Until Commit there is nothing at its place, and Close
// without it removes what there is of it.
type Copy struct {
	treecopy.Measured // what there is to copy, and room for it

	what     string
	progress func(done treecopy.Size)
	cmd      *exec.Cmd
	in       io.WriteCloser
	events   *json.Decoder
	errs     strings.Builder
	stop     func() bool
	ended    bool
}

// Tree is a directory to copy, and where: into an empty or missing one.
type Tree struct {
	What     string // for messages, such as "toolbox web"
	From, To string // absolute
}

// CopyOf is the tree of what one layer holds, to be copied into another's place. That
// must be of a container that was never started.
func CopyOf(what string, from, to *Layer) Tree { return Tree{what, from.Upper, to.Upper} }

// StartCopy begins a copy: it is measured, and nothing is copied yet. progress, which
// may be nil, is told how far a pass is. When ctx ends, so does the copy.
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

// next is the next event that is no progress.
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
				e.Hint("make room: see df -h, and what podman could give back: podman system df")
			}
			return nil, e
		case ev.Progress == nil:
			return ev, nil
		case c.progress != nil:
			c.progress(*ev.Progress)
		}
	}
}

// broken is why there is no event: the helper has ended.
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

// Pass copies what differs. With a cgroup, which is a directory, what runs in it stands
// still meanwhile.
func (c *Copy) Pass(cgroup string) (*treecopy.Passed, error) {
	order := treecopy.OrderPass
	if cgroup != "" {
		order = treecopy.OrderFrozen + " " + cgroup
	}
	ev, err := c.order(order)
	if err != nil {
		if cgroup != "" { // who was killed could not
			err = errors.Join(err, treecopy.Thaw(cgroup))
		}
		return nil, err
	}
	if ev.Pass == nil {
		return nil, fmt.Errorf("tbx-box did not say what it copied of %s", c.what)
	}
	return ev.Pass, nil
}

// Commit puts the copy at its place, whole and on the disk, and ends it.
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

// Close ends a copy that was not committed, and waits until what there is of it is
// removed. After Commit it does nothing.
func (c *Copy) Close() { c.end() }

// end waits for the helper and returns what it said.
func (c *Copy) end() string {
	if !c.ended {
		c.ended = true
		c.stop()
		c.in.Close()
		for c.events.Decode(&treecopy.Event{}) == nil { // or it would wait for a reader
		}
		_ = c.cmd.Wait() // what it said counts
	}
	return c.errs.String()
}

// RemovePart removes what a copy that was killed left of it, beside the place that it
// was for.
func (s Space) RemovePart(ctx context.Context, place string) error {
	cmd := s.command(ctx, s.Helper, "copy", "--remove", filepath.Dir(place), filepath.Base(place))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fail.Wrap(nil, err, "%s cannot be removed: %s", treecopy.Part(filepath.Dir(place), filepath.Base(place)),
			escape.Text(strings.TrimSpace(string(out))))
	}
	return nil
}
