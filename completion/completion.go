package completion

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
)

// Limit is how long a user waits for what is offered. podman's service takes half a
// second to start on a slow disk; nobody waits three for a name.
const Limit = 3 * time.Second

// Item is one word that is offered. Help may be empty.
type Item struct{ Word, Help string }

// Within returns what ask returns, or nothing when it fails or takes longer than
// limit. ask is left behind then: the program is about to end.
func Within[T any](ctx context.Context, limit time.Duration, ask func(context.Context) (T, error)) (answer T) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	got := make(chan T, 1)
	go func() {
		if a, err := ask(ctx); err == nil {
			got <- a
		}
		close(got)
	}()
	select {
	case answer = <-got:
	case <-ctx.Done():
	}
	return answer
}

// Toolbox is what is shown of a toolbox.
type Toolbox struct{ Name, State, Image string }

// Lister lists the toolboxes whose names tbx takes.
type Lister interface {
	Toolboxes(context.Context) ([]Toolbox, error)
}

// Toolboxes offers the toolboxes that are not among the words given already.
func Toolboxes(ctx context.Context, from Lister, given []string) []Item {
	var out []Item
	for _, b := range Within(ctx, Limit, from.Toolboxes) {
		if !slices.Contains(given, b.Name) {
			out = append(out, Item{b.Name, escape.Text(b.State + ", " + b.Image)})
		}
	}
	return out
}

// Namer lists the names of the images that are here.
type Namer interface {
	ImageNames(context.Context) ([]string, error)
}

// Images offers the images that are not among the words given already. Where no full
// name begins like word, it offers the short names that podman understands too.
func Images(ctx context.Context, from Namer, given []string, word string) []Item {
	names := Within(ctx, Limit, from.ImageNames)
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return escape.Text(n) != n || slices.Contains(given, n) })
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, word) }) {
		return Words(names...)
	}
	var short []string
	for _, n := range names {
		for rest, found := n, true; found; {
			if _, rest, found = strings.Cut(rest, "/"); found && strings.HasPrefix(rest, word) {
				short = append(short, rest)
			}
		}
	}
	return Words(short...)
}

// System is a system that the host can boot, with the packages on top of it.
type System struct {
	Index    int
	Name     string
	Layered  []string // packages that were added
	Replaced []string // packages of the base that others took the place of, or that were removed
	Kargs    []string // the kernel's arguments; nil: not known
	Next     bool     // it boots next
}

// Systems reads the host's systems.
type Systems interface {
	Systems(context.Context) ([]System, error)
}

// Indexes offers the host's systems by their indexes.
func Indexes(ctx context.Context, from Systems) []Item {
	var out []Item
	for _, s := range Within(ctx, Limit, from.Systems) {
		out = append(out, Item{strconv.Itoa(s.Index), escape.Text(s.Name)})
	}
	return out
}

// Changes offers what which returns of the system that boots next, but the words
// given already.
func Changes(ctx context.Context, from Systems, given []string, which func(System) []string) []Item {
	for _, s := range Within(ctx, Limit, from.Systems) {
		if s.Next {
			return Words(slices.DeleteFunc(slices.Clone(which(s)), func(w string) bool {
				return slices.Contains(given, w) || escape.Text(w) != w
			})...)
		}
	}
	return nil
}

// Variables offers the names of the caller's variables.
func Variables(environ []string) []Item {
	var names []string
	for _, kv := range environ {
		if name, _, ok := strings.Cut(kv, "="); ok && name != "" && escape.Text(name) == name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return Words(slices.Compact(names)...)
}

// Words offers words without help.
func Words(words ...string) []Item {
	var out []Item
	for _, w := range words {
		out = append(out, Item{Word: w})
	}
	return out
}
