package osupdate

import (
	"context"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// successor is r with what the running system names at its end of life as the target.
// The name comes from a commit: it must be of the kind and the remote that the host
// follows, or it is for its owner to decide.
func successor(r Request, s *State) (Request, error) {
	if !r.Successor {
		return r, nil
	}
	cur := s.Current()
	if cur == nil || cur.Successor == "" {
		return r, fail.New(ErrNotFound, "the running system names no successor").
			Hint("choose what to follow: tbx host switch REF|IMAGE")
	}
	was, now := ParseSource(cur.Tracks), ParseSource(cur.Successor)
	if now.Class == SourceRef && now.Remote == "" && was.Class == SourceRef && was.Remote != "" {
		now = ParseSource(was.Remote + ":" + cur.Successor)
	}
	switch {
	case len(now.Text) > longest || !targetForm().MatchString(cur.Successor) || strings.Contains(now.Text, ".."):
		return r, fail.New(ErrNotFound, "the running system names %.60q as its successor, which is no ref or image", cur.Successor).
			Hint("choose what to follow: tbx host switch REF|IMAGE")
	case now.Class != was.Class || now.Remote != was.Remote:
		return r, fail.New(ErrUnsafe, "the successor %s does not come from where the host's updates come from (%s)", now.Text, cur.Tracks).
			Hint("if you trust it: tbx host switch %s", now.Text)
	}
	r.Target, r.Successor = now.Text, false
	return r, nil
}

// keepFirst has the running system pinned before p, where the updater can: the next
// release's own updates would else push it out before the new one has proved itself.
func (h *Host) keepFirst(ctx context.Context, p *Plan, s *State) error {
	cur := s.Current()
	if p.Unchanged != "" || cur == nil || cur.Pinned || cur.Staged || !h.be.Capabilities().Can(Capability(Pin)) {
		return nil
	}
	pin, err := h.be.Plan(ctx, s, Request{Verb: Pin, Target: strconv.Itoa(cur.Index)})
	if err != nil {
		return err
	}
	p.Steps, p.Effects = append(pin.Steps, p.Steps...), append(pin.Effects, p.Effects...)
	return nil
}
