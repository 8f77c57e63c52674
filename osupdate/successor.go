package osupdate

import (
	"context"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// successor returns r with the target that the running system names for its end of life.
// The name comes from a commit, so it must be of the kind and the remote that the host
// follows; otherwise its owner must decide.
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

// keepFirst adds to p a pin of the running system, if the updater can pin: otherwise the
// next release's own updates would remove it before the new one has proved itself.
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
