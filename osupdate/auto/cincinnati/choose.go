package cincinnati

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Here is the release that a host runs.
type Here struct {
	IDs     []string // what it can be called by: commits, digests of images
	Version string
}

// Options is what else decides.
type Options struct {
	Denied   func(*Node) bool // what this host does not take; may be nil
	Now      time.Time        // for a rollout that the source leaves to the host
	Wariness float64          // the same: from 0, eager, to 1
}

// Answer is where a host may go.
type Answer struct {
	Here   *Node    // the release that runs; nil: the graph does not know it
	Target *Node    // where to go now; nil: nowhere
	Notes  []string // why it goes no further, in sentences without an end
}

// Next chooses the newest release to which one edge leads. Never one that is older, that
// is denied, a dead end, advised against, or behind a barrier that the host has not run.
func (g *Graph) Next(here Here, o Options) Answer {
	at := g.find(here)
	if at < 0 {
		return Answer{Notes: []string{"the graph does not know the release that runs, " + short(here.Version)}}
	}
	a := Answer{Here: &g.nodes[at]}
	if why := a.Here.DeadEnd(); why != "" {
		a.Notes = []string{short(a.Here.Version) + ", which runs, is a dead end: " + why}
		return a
	}
	risky := map[string]bool{}
	for _, c := range g.conditional {
		if c.From == a.Here.Version {
			risky[c.To] = true
			a.Notes = append(a.Notes, fmt.Sprintf("%s is advised against from here: %s", short(c.To), c.Risk))
		}
	}
	best := -1
	for _, to := range g.after(at) {
		n := &g.nodes[to]
		switch {
		case !g.newer(to, at) || best >= 0 && !g.newer(to, best):
		case n.DeadEnd() != "" || risky[n.Version] || o.Denied != nil && o.Denied(n):
		case g.listed && n.offered(o.Now) < o.Wariness:
		case g.barred(at, to):
		default:
			best = to
		}
	}
	if best >= 0 {
		a.Target = &g.nodes[best]
	}
	return a
}

// find is the release that runs, by what it is, else by its name where that says enough:
// an image may have a digest for each machine and one for all.
func (g *Graph) find(here Here) int {
	byName := -1
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.Payload != "" && (slices.Contains(here.IDs, n.Payload) || n.Digest() != "" && slices.Contains(here.IDs, n.Digest())) {
			return i
		}
		if n.Version == here.Version && (n.Payload == "" || n.Digest() != "") {
			byName = i
		}
	}
	return byName
}

// after is where the edges lead to.
func (g *Graph) after(at int) []int {
	var out []int
	if g.listed {
		for i := at + 1; i < len(g.nodes); i++ {
			out = append(out, i)
		}
		return out
	}
	for _, e := range g.edges {
		if e[0] == at {
			out = append(out, e[1])
		}
	}
	return out
}

// newer says whether a is newer than b. What cannot be told is not newer: a graph with a
// loop would lead a host round for ever.
func (g *Graph) newer(a, b int) bool {
	x, y := &g.nodes[a], &g.nodes[b]
	if x.age >= 0 && y.age >= 0 {
		return x.age > y.age
	}
	return compare(x.Version, y.Version) > 0
}

// barred says whether a barrier is between the two: whoever made the edges may have
// forgotten it.
func (g *Graph) barred(at, to int) bool {
	for i := range g.nodes {
		if g.nodes[i].barrier() && g.newer(i, at) && g.newer(to, i) {
			return true
		}
	}
	return false
}

// compare orders two versions by their numbers, as semver.org does: what has a "-" in it
// comes before what has not.
func compare(a, b string) int {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	a, preA, isPreA := strings.Cut(a, "-")
	b, preB, isPreB := strings.Cut(b, "-")
	if c := byParts(a, b); c != 0 || isPreA == isPreB && preA == preB {
		return c
	}
	switch {
	case !isPreA:
		return 1
	case !isPreB:
		return -1
	}
	return byParts(preA, preB)
}

func byParts(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) {
			return len(x) - len(y)
		}
		n, errN := strconv.ParseUint(x[i], 10, 64)
		m, errM := strconv.ParseUint(y[i], 10, 64)
		switch {
		case errN == nil && errM == nil && n != m:
			if n > m {
				return 1
			}
			return -1
		case (errN == nil) != (errM == nil): // a number comes before a word
			if errM == nil {
				return 1
			}
			return -1
		case errN != nil && x[i] != y[i]:
			return strings.Compare(x[i], y[i])
		}
	}
	return 0
}
