package completion_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tbx-project/tbx/completion"
)

type fake struct {
	boxes   []completion.Toolbox
	images  []string
	systems []completion.System
	err     error
}

func (f fake) Toolboxes(context.Context) ([]completion.Toolbox, error) { return f.boxes, f.err }
func (f fake) ImageNames(context.Context) ([]string, error)            { return f.images, f.err }
func (f fake) Systems(context.Context) ([]completion.System, error)    { return f.systems, f.err }

func words(items []completion.Item) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.Word)
	}
	return out
}

func TestToolboxes(t *testing.T) {
	f := fake{boxes: []completion.Toolbox{{"web", "running", "debian:12"}, {"db", "exited", "x\x1b[2J"}}}
	want := []completion.Item{{Word: "web", Help: "running, debian:12"}, {Word: "db", Help: `exited, x\x1b[2J`}}
	if got := completion.Toolboxes(t.Context(), f, nil); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := completion.Toolboxes(t.Context(), f, []string{"web"}); !slices.Equal(got, want[1:]) {
		t.Errorf("with web given: %q", got)
	}
	f.err = errors.New("no podman")
	if got := completion.Toolboxes(t.Context(), f, nil); got != nil {
		t.Errorf("without podman: %q", got)
	}
}

func TestImages(t *testing.T) {
	f := fake{images: []string{"docker.io/library/debian:12", "localhost/mine:1", "localhost/evil\n:1"}}
	for word, want := range map[string][]string{
		"":        {"docker.io/library/debian:12", "localhost/mine:1"},
		"local":   {"docker.io/library/debian:12", "localhost/mine:1"}, // the shell drops what does not fit
		"deb":     {"debian:12"},
		"library": {"library/debian:12"},
		"nothing": nil,
	} {
		if got := words(completion.Images(t.Context(), f, nil, word)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := words(completion.Images(t.Context(), f, []string{"localhost/mine:1"}, "")); len(got) != 1 {
		t.Errorf("with one given: %q", got)
	}
}

func TestSystems(t *testing.T) {
	f := fake{systems: []completion.System{{Index: 0, Name: "43.2", Next: true, Layered: []string{"vim", "zsh"}}, {Index: 1, Name: "43.1", Layered: []string{"old"}}}}
	if got := completion.Indexes(t.Context(), f); !slices.Equal(got, []completion.Item{{Word: "0", Help: "43.2"}, {Word: "1", Help: "43.1"}}) {
		t.Errorf("%q", got)
	}
	layered := func(s completion.System) []string { return s.Layered }
	if got := words(completion.Changes(t.Context(), f, []string{"vim"}, layered)); !slices.Equal(got, []string{"zsh"}) {
		t.Errorf("%q", got)
	}
	if len(f.systems[0].Layered) != 2 {
		t.Error("the systems were changed")
	}
}

func TestCatalogue(t *testing.T) {
	all := []completion.Distro{{"debian", []string{"12", "13"}, map[string]string{"13": "trixie", "12": "bookworm"}}, {"arch", []string{"latest"}, nil}}
	if got := words(completion.Distros(all)); !slices.Equal(got, []string{"debian", "arch"}) {
		t.Errorf("%q", got)
	}
	if got := words(completion.Releases(all, "arch")); !slices.Equal(got, []string{"latest"}) {
		t.Errorf("%q", got)
	}
	if got := completion.Bootstraps(all); !slices.Equal(got, []completion.Item{{Word: "debian"}, {"debian:12", "bookworm"}, {"debian:13", "trixie"}}) {
		t.Errorf("%q", got)
	}
}

func TestVariables(t *testing.T) {
	if got := words(completion.Variables([]string{"B=1", "A=", "B=2", "=x", "bad\x1b=1", "C"})); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("%q", got)
	}
}

// What does not answer is not waited for, whether it heeds its context or not.
func TestTimeLimit(t *testing.T) {
	never := make(chan struct{})
	for name, ask := range map[string]func(context.Context) (string, error){
		"heeds":       func(ctx context.Context) (string, error) { <-ctx.Done(); return "late", ctx.Err() },
		"does not":    func(context.Context) (string, error) { <-never; return "late", nil },
		"fails":       func(context.Context) (string, error) { return "half", errors.New("x") },
		"is canceled": func(ctx context.Context) (string, error) { return "", ctx.Err() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if name == "is canceled" {
			cancel()
		}
		if got := completion.Within(ctx, 10*time.Millisecond, ask); got != "" {
			t.Errorf("%s: %q", name, got)
		}
		cancel()
	}
	if got := completion.Within(t.Context(), time.Hour, func(context.Context) (string, error) { return "in time", nil }); got != "in time" {
		t.Errorf("%q", got)
	}
}
