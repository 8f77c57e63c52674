package toolbox

import (
	"errors"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

// TestE5_LimitsOfAnyToolbox: limits are asked of podman as they were meant, refused
// where they are none, and where the machine cannot keep them.
func TestE5_LimitsOfAnyToolbox(t *testing.T) {
	with := &Host{UID: 1000, GID: 1000, User: "jane", Home: "/home/jane", RealHome: "/home/jane", Limits: func(string) bool { return true }}
	without := &Host{}
	for _, c := range []struct {
		name string
		host *Host
		asks CreateOptions
		kind error
		want []string // options of podman
		not  []string
	}{
		{"none", with, CreateOptions{}, nil, []string{"--pids-limit 0"}, []string{"--memory", "--cpus"}},
		{"each", with, CreateOptions{Memory: "2g", CPUs: "1.5", Pids: 100}, nil, []string{"--memory 2g", "--memory-swap 2g", "--cpus 1.5", "--pids-limit 100"}, nil},
		{"zero", with, CreateOptions{Memory: "0", CPUs: "0"}, nil, nil, []string{"--memory", "--cpus"}},
		{"whole", with, CreateOptions{CPUs: "2"}, nil, []string{"--cpus 2"}, nil},
		{"tiny", with, CreateOptions{CPUs: "0.001"}, fail.Usage, nil, nil},
		{"finer than podman", with, CreateOptions{CPUs: "1.00001"}, fail.Usage, nil, nil},
		{"negative", with, CreateOptions{CPUs: "-1"}, fail.Usage, nil, nil},
		{"words", with, CreateOptions{CPUs: "all"}, fail.Usage, nil, nil},
		{"a point alone", with, CreateOptions{CPUs: ".5"}, fail.Usage, nil, nil},
		{"more than any machine", with, CreateOptions{CPUs: "9999"}, fail.Usage, nil, nil},
		{"no number", with, CreateOptions{CPUs: "1e3"}, fail.Usage, nil, nil},
		{"few processes", with, CreateOptions{Pids: 3}, fail.Usage, nil, nil},
		{"negative processes", with, CreateOptions{Pids: -1}, fail.Usage, nil, nil},
		{"little memory", with, CreateOptions{Memory: "1k"}, fail.Usage, nil, nil},
		{"no controllers: memory", without, CreateOptions{Memory: "1g"}, fail.Unable, nil, nil},
		{"no controllers: cpu", without, CreateOptions{CPUs: "1"}, fail.Unable, nil, nil},
		{"no controllers: pids", without, CreateOptions{Pids: 100}, fail.Unable, nil, nil},
		{"no controllers: nonsense", without, CreateOptions{CPUs: "x"}, fail.Usage, nil, nil},
	} {
		m := &Manager{Host: c.host}
		s, err := m.newSpec(c.asks)
		if !errors.Is(err, c.kind) || (err != nil && len(fail.Hints(err)) == 0) {
			t.Errorf("%s: %v %q", c.name, err, fail.Hints(err))
		}
		if err != nil {
			continue
		}
		p, err := NewPlan("web", s, c.host, Place{BoxDir: "/box", Box: "0", Tree: true})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, o := range p.Options() {
			got = append(got, o.String())
			if slices.Contains(c.not, "--"+o.Flag) {
				t.Errorf("%s: %s", c.name, o)
			}
		}
		for _, o := range c.want {
			if !slices.Contains(got, o) {
				t.Errorf("%s: no %s in %q", c.name, o, got)
			}
		}
	}
}
