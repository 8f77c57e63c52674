package transactional

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// snapshot is a line of `tukit snapshots`.
type snapshot struct {
	number        int
	dflt, running bool
	made          *time.Time
	what          string // the description
}

// The descriptions of tukit and snapper that tell where a snapshot comes from.
var (
	updateOf = pattern.Lazy(`^Snapshot Update of #(\d+)$`)
	copyOf   = pattern.Lazy(`^writable copy of #(\d+)$`)
	backupOf = pattern.Lazy(`^rollback backup of #(\d+)$`)
)

// parse reads lines of number, default, active, date and description, separated by
// TABs. boot is when this boot began; zero when it is not known.
func parse(text string, boot time.Time) (*osupdate.State, error) {
	list, err := snapshots(text)
	if err != nil {
		return nil, err
	}
	rank := func(s snapshot) int {
		switch {
		case s.dflt:
			return 0
		case s.running:
			return 1
		}
		return 2
	}
	slices.SortFunc(list, func(a, b snapshot) int { return cmp.Or(rank(a)-rank(b), b.number-a.number) })
	if len(list) == 0 || !list[0].dflt {
		return nil, fmt.Errorf("no snapshot is the default")
	}
	h := history(list)
	s := &osupdate.State{Backend: osupdate.Transactional, Tracked: tracked, OwnIndex: true}
	for _, sn := range list {
		number := strconv.Itoa(sn.number)
		s.Deployments = append(s.Deployments, osupdate.Deployment{
			ID: "snapshot-" + number, Index: sn.number, Checksum: "snapshot-" + strconv.Itoa(h.content(sn.number)), Version: number,
			Booted: sn.running, Tracks: tracked, Time: sn.made,
		})
	}
	s.Boot.By = h.by(boot)
	s.Previous = "snapshot-" + strconv.Itoa(h.previous())
	return s.Arrange(), nil
}

func snapshots(text string) ([]snapshot, error) {
	yes := func(s string) bool { return slices.Contains([]string{"yes", "true", "1", "*"}, strings.TrimSpace(s)) }
	var list []snapshot
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) < 3 {
			return nil, fmt.Errorf("%q is no line of five fields", line)
		}
		n, err := strconv.Atoi(strings.TrimSpace(f[0]))
		if err != nil {
			if len(list) == 0 && strings.Contains(f[0], "umber") {
				continue // a head line
			}
			return nil, fmt.Errorf("%q is no snapshot's number", f[0])
		}
		if n <= 0 {
			continue // snapshot 0 stands for the running file system
		}
		f = append(f, "", "")
		sn := snapshot{number: n, dflt: yes(f[1]), running: yes(f[2]), what: strings.TrimSpace(f[4])}
		if t, err := time.Parse("2006-01-02 15:04:05", strings.TrimSpace(f[3])); err == nil {
			sn.made = &t
		}
		list = append(list, sn)
	}
	return list, nil
}

// history tells where snapshots come from.
type history []snapshot

func (h history) get(number int) *snapshot {
	for i := range h {
		if h[i].number == number {
			return &h[i]
		}
	}
	return nil
}

// content is the snapshot that number is a copy of: a rollback where the root is
// writable boots a new copy, and makes a backup of what was the default.
func (h history) content(number int) int {
	for range h { // ends also where descriptions form a circle
		s := h.get(number)
		if s == nil {
			break
		}
		m := copyOf().FindStringSubmatch(s.what)
		if m == nil {
			m = backupOf().FindStringSubmatch(s.what)
		}
		if m == nil {
			break
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n == number {
			break
		}
		number = n
	}
	return number
}

// by says how the default snapshot came to be another than the running one.
func (h history) by(boot time.Time) osupdate.BootBy {
	dflt := h[0]
	i := slices.IndexFunc(h, func(s snapshot) bool { return s.running })
	if i < 0 {
		return ""
	}
	running := h[i]
	switch {
	case copyOf().MatchString(dflt.what), dflt.number < h.content(running.number):
		return osupdate.ByRollback
	case dflt.made != nil && !boot.IsZero() && dflt.made.Before(boot):
		return osupdate.ByMenuOrFallback
	}
	return osupdate.ByUpdate
}

// previous is the snapshot that the running one was made from, else the newest that
// is older; 0 where there is none. Those that are newer never ran, or were left by a
// rollback.
func (h history) previous() int {
	i := slices.IndexFunc(h, func(s snapshot) bool { return s.running })
	if i < 0 {
		return 0
	}
	content := h.content(h[i].number)
	if sn := h.get(content); sn != nil {
		if m := updateOf().FindStringSubmatch(sn.what); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && h.get(n) != nil {
				return n
			}
		}
	}
	back := 0
	for _, sn := range h {
		if sn.number < content && sn.number > back && !backupOf().MatchString(sn.what) {
			back = sn.number
		}
	}
	return back
}
