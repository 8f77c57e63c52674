package toolbox

import (
	"slices"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// Retention chooses the snapshots of a toolbox that stay. 0 means no limit.
type Retention struct {
	Last   int           // this many of the newest
	Within time.Duration // those not older than this
	Bytes  int64         // the newest, up to this size together
}

// ParseRetention makes the limits from numbers and a size such as 20g; what names their
// source in errors.
func ParseRetention(last, days int, size, what string) (Retention, error) {
	r := Retention{Last: last, Within: time.Duration(days) * 24 * time.Hour}
	if last < 0 || days < 0 || days > 36500 {
		return r, fail.New(fail.Usage, "%s: a number of snapshots or days must be 0, which is no limit, or more", what)
	}
	if size == "" || size == "0" {
		return r, nil
	}
	var err error
	r.Bytes, err = parseSize(what, size, 1)
	return r, err
}

// None reports whether there is no limit at all.
func (r Retention) None() bool { return r == Retention{} }

// Expired returns the snapshots that are beyond any limit, the oldest first. A toolbox's
// newest BeforeRollback is never among them; the next rollback removes it.
func (r Retention) Expired(all []*Snapshot, now time.Time) []*Snapshot {
	byToolbox := map[string][]*Snapshot{}
	for _, s := range all {
		byToolbox[s.ToolboxID] = append(byToolbox[s.ToolboxID], s)
	}
	var out []*Snapshot
	for _, of := range byToolbox {
		slices.SortStableFunc(of, func(a, b *Snapshot) int { return b.Created.Compare(a.Created) })
		kept, bytes, undo := 0, int64(0), false
		for _, s := range of {
			if s.Name == BeforeRollback && !undo {
				undo = true
				continue
			}
			bytes += s.Bytes
			if r.Last > 0 && kept >= r.Last || r.Within > 0 && now.Sub(s.Created) > r.Within || r.Bytes > 0 && bytes > r.Bytes {
				out = append(out, s)
				bytes -= s.Bytes
				continue
			}
			kept++
		}
	}
	slices.SortStableFunc(out, func(a, b *Snapshot) int { return a.Created.Compare(b.Created) })
	return out
}
