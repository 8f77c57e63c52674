package cincinnati

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrGraph is the kind of an answer that is no graph, or none that can be believed.
var ErrGraph = errors.New("it is no graph of releases")

// The keys of a release's metadata, as Fedora CoreOS has them.
const (
	keyScheme   = "org.fedoraproject.coreos.scheme"
	keyAge      = "org.fedoraproject.coreos.releases.age_index"
	updates     = "org.fedoraproject.coreos.updates."
	keyDeadEnd  = updates + "deadend"
	keyBarrier  = updates + "barrier"
	keyRollout  = updates + "rollout"
	keyStart    = updates + "start_epoch"
	keyValue    = updates + "start_value"
	keyDuration = updates + "duration_minutes"
	reason      = "_reason"
)

// Node is one release.
type Node struct {
	Version  string            `json:"version"`
	Payload  string            `json:"payload"` // a commit, or an image by its digest; empty: the version says it all
	Metadata map[string]string `json:"metadata"`

	age int // the higher, the newer; -1: it is not told
}

// Digest is that of the payload's image, "sha256:…"; empty where the payload is none.
func (n *Node) Digest() string {
	if _, digest, ok := strings.Cut(n.Payload, "@"); ok && n.Metadata[keyScheme] != "checksum" {
		return digest
	}
	return ""
}

// Repository is where the payload's image is, without tag and digest; empty where the
// payload is none.
func (n *Node) Repository() string {
	name, _, ok := strings.Cut(n.Payload, "@")
	if !ok {
		return ""
	}
	if slash, colon := strings.LastIndexByte(name, '/'), strings.LastIndexByte(name, ':'); colon > slash {
		name = name[:colon]
	}
	return name
}

// DeadEnd is why no update leads away from n; empty where n is none.
func (n *Node) DeadEnd() string {
	if n.Metadata[keyDeadEnd] != "true" {
		return ""
	}
	if why := short(n.Metadata[keyDeadEnd+reason]); why != "" {
		return why
	}
	return "its makers do not say why"
}

// barrier says whether every host has to run n before it goes further.
func (n *Node) barrier() bool { return n.Metadata[keyBarrier] == "true" }

// offered is to how much of the fleet n is rolled out now, from 0 to 1.
func (n *Node) offered(now time.Time) float64 {
	if n.Metadata[keyRollout] != "true" {
		return 1
	}
	number := func(key string) float64 {
		x, err := strconv.ParseFloat(n.Metadata[key], 64)
		if err != nil || !(x >= 0) {
			return 0
		}
		return x
	}
	since := float64(now.Unix()) - number(keyStart)
	if since < 0 {
		return 0
	}
	value := min(1, number(keyValue))
	if minutes := number(keyDuration); minutes > 0 {
		value += (1 - value) * min(1, since/60/minutes)
	}
	return value
}

// Conditional is an edge that its makers advise against for some hosts, OpenShift's.
type Conditional struct {
	From, To string // versions
	Risk     string // the first one, in a sentence
}

// Graph is what the source knows.
type Graph struct {
	nodes       []Node
	edges       [][2]int
	conditional []Conditional
	listed      bool // a list of releases: every later one can be reached
}

// Nodes is how many releases there are.
func (g *Graph) Nodes() int { return len(g.nodes) }

// wire is a graph as it is sent.
type wire struct {
	Nodes       *[]Node        `json:"nodes"`
	Edges       [][]int        `json:"edges"`
	Conditional []wireRisks    `json:"conditionalEdges"`
	Releases    *[]wireRelease `json:"releases"`
	Stream      string         `json:"stream"`
}

type wireRisks struct {
	Edges []struct{ From, To string } `json:"edges"`
	Risks []struct {
		Name    string `json:"name"`
		Message string `json:"message"`
		URL     string `json:"url"`
	} `json:"risks"`
}

// Parse reads a graph, or a list of releases; architecture is that of the payloads to
// take from a list, as Fedora writes it (x86_64, aarch64). An error wraps ErrGraph.
func Parse(data []byte, architecture string) (*Graph, error) {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	g := &Graph{}
	switch {
	case w.Nodes != nil && w.Releases != nil:
		return nil, fmt.Errorf("%w: it has both nodes and releases", ErrGraph)
	case w.Nodes != nil:
		g.nodes = *w.Nodes
	case w.Releases != nil:
		g.listed = true
		for _, r := range *w.Releases {
			g.nodes = append(g.nodes, r.node(architecture))
		}
	default:
		return nil, fmt.Errorf("%w: it has neither nodes nor releases", ErrGraph)
	}
	if err := g.name(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	for i, e := range w.Edges {
		if len(e) != 2 || e[0] < 0 || e[1] < 0 || e[0] >= len(g.nodes) || e[1] >= len(g.nodes) {
			return nil, fmt.Errorf("%w: edge %d leads to a release that is not there", ErrGraph, i)
		}
		g.edges = append(g.edges, [2]int{e[0], e[1]})
	}
	for _, c := range w.Conditional {
		risk := "its makers do not say which"
		if len(c.Risks) > 0 {
			risk = short(strings.Join(strings.Fields(c.Risks[0].Name+": "+c.Risks[0].Message+" "+c.Risks[0].URL), " "))
		}
		for _, e := range c.Edges {
			g.conditional = append(g.conditional, Conditional{From: e.From, To: e.To, Risk: risk})
		}
	}
	return g, nil
}

// name gives every release its age, and refuses two that are called the same.
func (g *Graph) name() error {
	seen := map[string]bool{}
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.Version == "" {
			return fmt.Errorf("release %d has no version", i)
		}
		id := n.Payload
		if id == "" {
			id = n.Version
		}
		if seen[id] {
			return fmt.Errorf("two releases are %s", short(id))
		}
		seen[id] = true
		if g.listed {
			n.age = i
			continue
		}
		n.age = -1
		if text, ok := n.Metadata[keyAge]; ok {
			age, err := strconv.Atoi(text)
			if err != nil || age < 0 {
				return fmt.Errorf("the age of release %s is no number", short(n.Version))
			}
			n.age = age
		}
	}
	return nil
}

// longest is as much of a text of others as a sentence has room for.
const longest = 300

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
