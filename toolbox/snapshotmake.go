package toolbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/layers"
	"github.com/tbx-project/tbx/toolbox/treecopy"
)

// SnapshotOptions is a user's request for a snapshot.
type SnapshotOptions struct {
	Name      string // empty: the time
	Reason    string
	Automatic bool
}

// Snapshot keeps the present contents of the toolbox, which may be running. It copies in
// two passes; the toolbox stands still only for the second, which copies the changes
// since the first. If tbx is killed at any point, the toolbox is as it was, and the next
// call removes the rest.
func (m *Manager) Snapshot(ctx context.Context, name Name, o SnapshotOptions) (*Snapshot, error) {
	b, err := m.findManaged(ctx, name)
	if err != nil {
		return nil, err
	}
	lock, err := m.lockSnapshots(ctx, b.Spec.ID)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := m.settleSnapshots(ctx, b.Spec.ID); err != nil {
		return nil, err
	}
	if o.Name, err = m.freeSnapshotName(ctx, b, o.Name); err != nil {
		return nil, err
	}
	s := snapshotNow(b)
	s.Name, s.Reason, s.Automatic = o.Name, o.Reason, o.Automatic
	h, err := m.makeHolder(ctx, b, s)
	if err != nil {
		return nil, fail.Wrap(nil, err, "no snapshot of toolbox %s was made", name)
	}
	return h.record.Snapshot, nil
}

// snapshotNow returns a snapshot of b of this moment, without a name.
func snapshotNow(b *Box) *Snapshot {
	return &Snapshot{
		Toolbox: b.Name, ToolboxID: b.Spec.ID, Created: time.Now().UTC().Truncate(time.Second),
		Image: b.Spec.Image, ImageID: b.Spec.ImageID, Spec: b.Spec,
	}
}

// snapshotNames are the names that the toolbox's snapshots have.
func (m *Manager) snapshotNames(ctx context.Context, b *Box) (map[string]bool, error) {
	hs, err := m.holders(ctx, b.Spec.ID)
	taken := map[string]bool{}
	for _, h := range hs {
		if h.record != nil {
			taken[h.record.Snapshot.Name] = true
		}
	}
	return taken, err
}

// freeSnapshotName checks the user's name, or makes one from the time.
func (m *Manager) freeSnapshotName(ctx context.Context, b *Box, name string) (string, error) {
	taken, err := m.snapshotNames(ctx, b)
	if err != nil {
		return "", err
	}
	if name != "" {
		switch {
		case name == BeforeRollback:
			return "", fail.New(fail.Usage, "%s is the name of the snapshot that a rollback makes", name).Hint("choose another name")
		case taken[name]:
			return "", fail.New(fail.Exists, "toolbox %s has a snapshot %s", b.Name, name).
				Hint("choose another name, or remove it with: tbx snapshot rm %s %s", b.Name, name)
		}
		return name, nil
	}
	now := time.Now().Format("2006-01-02-150405")
	name = now
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", now, i)
	}
	return name, nil
}

// makeHolder makes the container for s, copies the contents of b into it and records it.
// After an error nothing of it is left.
func (m *Manager) makeHolder(ctx context.Context, b *Box, s *Snapshot) (h *holder, err error) {
	e, err := m.Engine(ctx)
	if err != nil {
		return nil, err
	}
	m.stage("preparing a snapshot of toolbox %s", b.Name)
	if err := m.sweepStored(ctx, e); err != nil {
		return nil, err
	}
	id, err := e.Create(ctx, m.newHolder(b.Spec))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.dropHolder(context.WithoutCancel(ctx), e, &holder{Container: Container{ID: id, Name: id}}))
		}
	}()
	if h, err = openHolder(ctx, e, id); err != nil {
		return nil, err
	}
	to, err := e.Layer(ctx, id)
	if err != nil {
		return nil, err
	}
	size, err := m.copyBox(ctx, e, b, to)
	if err != nil {
		return nil, err
	}
	s.Entries, s.Bytes, s.Container = size.Entries, size.Bytes, id
	seen, err := m.space().Look(ctx, to)
	if err != nil {
		return nil, err
	}
	h.record = &record{Snapshot: s, Inode: seen[0].Inode}
	return h, m.saveRecord(h)
}

// quietPasses is the most passes over a toolbox that cannot be frozen, until nothing
// changes between two of them.
const quietPasses = 8

// copyBox copies a toolbox's contents of one moment into the layer of a container that
// was never started.
func (m *Manager) copyBox(ctx context.Context, e Engine, b *Box, to *layers.Layer) (treecopy.Size, error) {
	from, err := e.Layer(ctx, b.ID)
	if err == nil {
		err = b.fit(from, to)
	}
	if err != nil {
		return treecopy.Size{}, err
	}
	c, err := m.startCopy(ctx, layers.CopyOf("toolbox "+string(b.Name), from, to))
	if err != nil {
		return treecopy.Size{}, err
	}
	defer c.Close()
	if _, err := c.Pass(""); err != nil {
		return treecopy.Size{}, err
	}
	if err := m.lastPass(ctx, e, b, c); err != nil {
		return treecopy.Size{}, err
	}
	return c.Size, c.Commit()
}

// lastPass updates a copy of the toolbox to its contents of one moment. Meanwhile no tbx
// starts, stops or changes it.
func (m *Manager) lastPass(ctx context.Context, e Engine, b *Box, c *layers.Copy) error {
	lock, err := m.lock(ctx, b.Name)
	if err != nil {
		return err
	}
	defer lock.Close()
	for range quietPasses {
		now, err := m.Find(ctx, b.Name)
		if err == nil && now.ID != b.ID {
			err = fail.New(nil, "it was made anew meanwhile").Hint("try again")
		}
		if err != nil {
			return err
		}
		quiet, err := m.quietPass(ctx, now, c)
		if quiet || err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // longer than the grain of file times
	}
	return fail.New(nil, "toolbox %s changes its files all the time, and cannot be frozen, because it has no cgroup", b.Name).
		Hint("stop it first: tbx stop %s", b.Name)
}

// quietPass makes one pass, and reports whether the copy is of one moment: the toolbox
// did not run, stood still, or changed nothing since the last pass.
func (m *Manager) quietPass(ctx context.Context, b *Box, c *layers.Copy) (bool, error) {
	if !b.runs() || b.State == Paused {
		passed, err := c.Pass("")
		if err != nil {
			return false, err
		}
		now, err := m.Find(ctx, b.Name) // podman may have started it without tbx
		return err == nil && (passed.Changed == 0 || now.State == b.State && now.Started.Equal(b.Started)), err
	}
	cgroup := m.cgroupDir(b)
	if cgroup == "" {
		passed, err := c.Pass("")
		return err == nil && passed.Changed == 0, err
	}
	mark, err := m.markFrozen(b.ID, cgroup)
	if err != nil {
		return false, err
	}
	defer mark.end()
	passed, err := c.Pass(cgroup)
	if err == nil {
		m.debug("toolbox %s stood still for %v while %d entries were copied", b.Name, passed.Frozen, passed.Changed)
	}
	return err == nil, err
}

// startCopy begins a copy, shows its size, and refuses a copy that does not fit on the
// disk.
func (m *Manager) startCopy(ctx context.Context, t layers.Tree) (*layers.Copy, error) {
	var c *layers.Copy
	var begin time.Time
	var err error
	c, err = m.space().StartCopy(ctx, t, func(done treecopy.Size) {
		m.Progress.Update(copyText(t.What, c, done, time.Since(begin)))
	})
	if err != nil {
		return nil, err
	}
	if need := c.Bytes; !c.Shared && need > c.Free {
		defer c.Close()
		return nil, fail.New(nil, "%s holds %s, and on the disk of podman's storage %s are free", t.What, bytesize.Text(need),
			bytesize.Text(c.Free)).
			Hint("make room: see df -h and podman system df")
	}
	begin = time.Now()
	m.Progress.Stage(copyText(t.What, c, treecopy.Size{}, 0))
	return c, nil
}

// copyText describes the progress of a copy, and as soon as possible the time left.
func copyText(what string, c *layers.Copy, done treecopy.Size, since time.Duration) string {
	text := fmt.Sprintf("copying %s: %s in %d files", what, bytesize.Text(c.Bytes), c.Entries)
	if c.Shared {
		text += ", whose blocks are shared"
	}
	share := copied(c.Size, done)
	if share > 0 {
		text += fmt.Sprintf(", %d%%", int(100*share))
	}
	if since > time.Second && share > 0.02 {
		left := time.Duration(float64(since) * (1 - share) / share).Round(time.Second)
		text += fmt.Sprintf(", about %s left", left)
	}
	return text
}

// copied is the done share of a copy: both files and bytes take time.
func copied(of, done treecopy.Size) float64 {
	share := func(done, of int64) float64 {
		if of <= 0 {
			return 1
		}
		return min(float64(done)/float64(of), 1)
	}
	if done == (treecopy.Size{}) {
		return 0
	}
	return (share(done.Entries, of.Entries) + share(done.Bytes, of.Bytes)) / 2
}
