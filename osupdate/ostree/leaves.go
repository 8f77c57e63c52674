package ostree

import (
	"cmp"
	"context"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// leaves refuses an upgrade to a commit that names another ref at its end of life: ostree
// itself would take that ref's newest commit instead, and follow it from then on. Where a
// commit is asked for by name, ostree asks the newest one that was fetched before.
func (b *Backend) leaves(ctx context.Context, s *osupdate.State, r osupdate.Request) error {
	cur, remote, ref, err := b.tracked(s)
	if err != nil {
		return err
	}
	var commit string
	repo := b.repo()
	switch {
	case r.From != "":
		repo = r.From
		commit, err = b.run(ctx, b.ostree, "--repo="+repo, "rev-parse", ref)
	case r.Target != "":
		commit, err = b.run(ctx, b.ostree, "--repo="+repo, "rev-parse", s.Tracked)
	default:
		commit, repo, err = b.newest(ctx, remote, ref, 0)
	}
	if err != nil {
		return nil // ostree itself will say it, or could not be asked as this user
	}
	commit = strings.TrimSpace(commit)
	c := ostreefamily.ReadCommit(repo, commit)
	if c.Successor == "" {
		return nil
	}
	next, name := c.Successor, cmp.Or(c.Version, commit)
	if remote != "" {
		next = remote + ":" + next
	}
	e := fail.New(osupdate.ErrUnsafe, "%s is the last of %s, and with it ostree would follow %s from then on", name, s.Tracked, next)
	if cur.Checksum == commit {
		return e.Hint("move there: tbx host switch --successor")
	}
	e.Hint("move there: tbx host switch %s", next)
	if d := s.Next(); d != nil && d.Checksum == commit {
		return e.Hint("or stay: the last one boots next already")
	}
	return e.Hint("or take the last one and stay: tbx host upgrade --to %s", name)
}
