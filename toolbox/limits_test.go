package toolbox

import (
	"errors"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"65536": 1 << 16, "65536b": 1 << 16, "64k": 1 << 16, "64K": 1 << 16, "64kb": 1 << 16, "512m": 1 << 29, "4g": 1 << 32, "4GB": 1 << 32, "2t": 1 << 41} {
		got, err := parseSize("--memory", in, 1)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
		if back, err := parseSize("--memory", size(got), 1); back != want || err != nil {
			t.Errorf("%s is written as %s", in, size(got))
		}
	}
	for _, in := range []string{"", "m", "-1g", "1.5g", "1 g", "1x", "1gg", "9223372036854775807k", "99999999999999999999", "0x10", "63k", "0"} {
		if got, err := parseSize("--memory", in, 64<<10); !errors.Is(err, fail.Usage) {
			t.Errorf("%q was taken as %d (%v)", in, got, err)
		}
	}
}

// TestMemory: three quarters unless the user says otherwise, no limit where none
// can be kept, and then none is taken from the user either.
func TestMemory(t *testing.T) {
	with := &Host{Limits: func(string) bool { return true }, RAM: func() int64 { return 16<<30 + 12345 }, Nofile: func() int64 { return 1000 }}
	without := &Host{RAM: with.RAM}
	for _, c := range []struct {
		host *Host
		asks string
		want int64
		kind error
	}{
		{with, "", 12 << 30, nil}, {with, "2g", 2 << 30, nil}, {with, "0", 0, nil}, {with, "1k", 0, fail.Usage}, {with, "all", 0, fail.Usage},
		{without, "", 0, nil}, {without, "0", 0, nil}, {without, "2g", 0, fail.Unable}, {without, "all", 0, fail.Usage},
	} {
		m := &Manager{Host: c.host}
		s, err := m.newSpec(CreateOptions{Isolated: true, Memory: c.asks})
		if !errors.Is(err, c.kind) {
			t.Errorf("%q: %v", c.asks, err)
		}
		if err != nil {
			continue
		}
		var p Plan
		if err := errors.Join(p.limit(s, c.host), p.limitMore(s, c.host)); err != nil || p.Memory != c.want {
			t.Errorf("%q: %d, %v", c.asks, p.Memory, err)
		}
		if p.ShmSize != 64<<20 || (p.Nofile == 1000) != (c.host == with) || (p.Pids > 0) != (c.host == with) {
			t.Errorf("%q: %+v", c.asks, p)
		}
	}
}

// TestGPU: none is an error before anything is made.
func TestGPU(t *testing.T) {
	m := &Manager{Host: &Host{}}
	if _, err := m.newSpec(CreateOptions{Isolated: true, GPU: true}); !errors.Is(err, fail.Unable) {
		t.Errorf("without a GPU: %v", err)
	}
	m.Host.RenderNodes = func() []string { return []string{"/dev/dri/renderD128"} }
	if s, err := m.newSpec(CreateOptions{Isolated: true, GPU: true}); err != nil || !s.GPU {
		t.Errorf("%+v, %v", s, err)
	}
	m.Host = &Host{CDI: []string{"nvidia.com/gpu"}}
	if s, err := m.newSpec(CreateOptions{Isolated: true, GPU: true}); err != nil || !s.GPU {
		t.Errorf("%+v, %v", s, err)
	}
}
