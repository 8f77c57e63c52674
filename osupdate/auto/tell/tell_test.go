package tell_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func rel(version string) machine.Release {
	return machine.Release{Content: "sum-" + version, Version: version}
}

func ago(days int) time.Time { return now.AddDate(0, 0, -days) }

// TestH100_WhatBlocksForEver: each has its sentence and a next step; what passes by itself has none.
func TestH100_WhatBlocksForEver(t *testing.T) {
	trouble := func(kind string, count, days int) machine.Record {
		return machine.Record{State: machine.Waiting, Trouble: &machine.Trouble{Kind: kind, Text: "the updater says so", Count: count, First: ago(days)}}
	}
	denied := []machine.Denied{{Release: rel("43"), Why: "it was not healthy: sshd.service fails", At: ago(1)}}
	for name, c := range map[string]struct {
		r    machine.Record
		want []string // parts of the one notice; none: there is none
	}{
		"current":         {machine.Record{State: machine.Idle, Newest: ago(3), Checked: now, Running: rel("42")}, nil},
		"staged":          {machine.Record{State: machine.Staged, Target: rel("43"), Since: ago(2)}, nil},
		"staged for long": {machine.Record{State: machine.Staged, Target: rel("43"), Since: ago(12)}, []string{"43 was fetched 12 days ago", "suspended", "tbx host reboot"}},
		"stopped":         {machine.Record{State: machine.Stopped, Reasons: []string{"there is no system to go back to"}}, []string{"no system to go back", "auto resume"}},
		"going back":      {machine.Record{State: machine.RollingBack, Target: rel("43"), From: rel("42"), Reasons: []string{"sshd fails"}, Denied: denied}, []string{"43 runs and is not healthy: sshd fails. 42 boots next", "tbx host reboot"}},
		"went back":       {machine.Record{State: machine.Idle, Denied: denied}, []string{"43 is not taken again: it was not healthy: sshd.service fails"}},
		"by a person":     {machine.Record{State: machine.Idle, Denied: []machine.Denied{{Release: rel("43"), Why: "it was withdrawn by hand", At: now}}}, nil},
		"long ago":        {machine.Record{State: machine.Idle, Denied: []machine.Denied{{Release: rel("43"), Why: "it was not healthy", At: ago(40)}}}, nil},
		"conflict":        {trouble("package conflict", 1, 0), []string{"layered on this host: htop, vim", "tbx install htop vim; then tbx host uninstall htop vim"}},
		"signature":       {trouble("signature", 2, 1), []string{"the updater says so", "nothing that is not signed is taken"}},
		"one signature":   {trouble("signature", 1, 0), nil},
		"full":            {trouble("no space", 1, 0), []string{"tbx host cleanup"}},
		"not booted":      {trouble("finalisation failed", 1, 0), []string{"tbx host doctor"}},
		"merge":           {trouble("/etc merge", 1, 0), []string{"tbx host etc-diff"}},
		"network":         {trouble("network", 9, 2), nil},
		"deaf":            {trouble("network", 90, 9), []string{"Since 22 November: the updater says so"}},
		"busy":            {trouble("busy", 2, 0), nil},
		"unknown":         {trouble("backend failed", 6, 3), []string{"auto explain"}},
		"stale":           {machine.Record{State: machine.Idle, Newest: ago(31), Checked: now}, []string{"31 October 2026", "still made"}},
		"stale release":   {machine.Record{State: machine.Idle, Running: machine.Release{Content: "a", Time: ago(60)}, Checked: now}, []string{"2 October 2026"}},
		"new release":     {machine.Record{State: machine.Idle, Newest: ago(31), Running: machine.Release{Content: "a", Time: ago(3)}, Checked: now}, nil},
		"dead end":        {machine.Record{State: machine.Idle, Notes: []string{"42, which runs, is a dead end: see #7"}}, []string{"see #7"}},
		"slot":            {machine.Record{State: machine.Idle, Slot: &machine.Slot{Kept: "43 was not healthy here"}}, []string{"43 was not healthy here", "auto resume"}},
	} {
		ns := tell.Of(&c.r, []string{"htop", "vim"}, now)
		if len(ns) != min(1, len(c.want)) {
			t.Errorf("%s: %+v", name, ns)
			continue
		}
		for _, want := range c.want {
			if n := ns[0]; !strings.Contains(n.Text+" "+n.Do, want) || n.ID == "" || n.Title == "" || n.Do == "" {
				t.Errorf("%s: %+v lacks %q", name, n, want)
			}
		}
	}
}

// place is where it is told.
type place struct {
	o              *tell.Outlets
	root           string
	users          []int
	shown, journal []string
	told           map[string]time.Time
}

func newPlace(t *testing.T) *place {
	p := &place{root: t.TempDir()}
	p.o = &tell.Outlets{
		Root: p.root, Users: func(context.Context) []int { return p.users },
		Show: func(_ context.Context, uid int, n tell.Notice) bool {
			p.shown = append(p.shown, n.Title)
			return uid != 13
		},
		Journal: func(text string, fields map[string]string) { p.journal = append(p.journal, fields["TBX_NOTICE"]) },
	}
	return p
}

func (p *place) tell(t *testing.T, r machine.Record) {
	t.Helper()
	var err error
	if p.told, err = p.o.Tell(t.Context(), &r, tell.Of(&r, nil, now), p.told, now); err != nil {
		t.Fatal(err)
	}
}

func (p *place) read(name string) string {
	data, err := os.ReadFile(filepath.Join(p.root, name))
	if err != nil {
		return ""
	}
	return string(data)
}

// TestH101_Once: each is shown once to each user, and again only if it was over in between; the files say
// what is now.
func TestH101_Once(t *testing.T) {
	p := newPlace(t)
	staged := machine.Record{State: machine.Staged, Running: rel("42"), Target: rel("43"), Since: ago(12)}
	const motd, marker = "run/motd.d/85-tbx-host.motd", "run/reboot-required"
	for range 3 {
		p.tell(t, staged)
	}
	if len(p.shown) != 0 || len(p.journal) != 1 || !strings.Contains(p.read(motd), "12 days") || !strings.Contains(p.read(marker), "restart required") {
		t.Fatalf("%q %q %q %q", p.shown, p.journal, p.read(motd), p.read(marker))
	}
	p.users = []int{1000, 13}
	p.tell(t, staged)
	p.tell(t, staged)
	if len(p.shown) != 3 || len(p.journal) != 1 { // 13 did not see it, and is told again
		t.Fatalf("%q %q", p.shown, p.journal)
	}
	p.users = []int{1000, 1001}
	p.tell(t, staged)
	if len(p.shown) != 4 {
		t.Fatalf("%q", p.shown)
	}
	p.tell(t, machine.Record{State: machine.Idle, Running: rel("43")})
	if p.read(motd) != "" || p.read(marker) != "" || len(p.told) != 0 {
		t.Fatalf("%q %q %v", p.read(motd), p.read(marker), p.told)
	}
	p.tell(t, staged)
	if len(p.shown) != 6 || len(p.journal) != 2 {
		t.Errorf("%q %q", p.shown, p.journal)
	}
}

// TestH101_MarkerOfOthers: what another program has put at /run/reboot-required stays.
func TestH101_MarkerOfOthers(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(p.root, "run/reboot-required")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("the kernel\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	p.tell(t, machine.Record{State: machine.Staged, Running: rel("42"), Target: rel("43"), Since: now})
	p.tell(t, machine.Record{State: machine.Idle, Running: rel("43")})
	if got := p.read("run/reboot-required"); got != "the kernel\n" {
		t.Errorf("%q", got)
	}
}

// TestH102_Names from outside reach no terminal and no file of metrics as they are.
func TestH102_Names(t *testing.T) {
	p := newPlace(t)
	if err := os.MkdirAll(filepath.Join(p.root, "var/lib/prometheus/node-exporter"), 0o755); err != nil {
		t.Fatal(err)
	}
	bad := machine.Release{Content: "c", Version: "4\x1b[2J\"\\\n3"}
	p.tell(t, machine.Record{State: machine.Staged, Running: rel("42"), Target: bad, Since: ago(12)})
	if motd := p.read("run/motd.d/85-tbx-host.motd"); strings.ContainsRune(motd, '\x1b') || strings.Count(motd, "\n") != 2 {
		t.Errorf("%q", motd)
	}
	text := p.read("var/lib/prometheus/node-exporter/tbx_host.prom")
	if !strings.Contains(text, `tbx_host_target_info{version="4`+"\x1b"+`[2J\"\\\n3",id="c"} 1`) {
		t.Errorf("%s", text)
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "tbx_host_") {
			t.Errorf("%q", line)
		}
	}
	for _, want := range []string{`tbx_host_auto_state{state="staged"} 1`, `tbx_host_auto_state{state="idle"} 0`, "tbx_host_notices 1", "tbx_host_last_check_seconds 0"} {
		if !slices.Contains(strings.Split(text, "\n"), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// TestJournal: the native protocol, also for a text of two lines.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	say, ok := tell.Journal(path)
	if !ok {
		t.Fatal("no journal")
	}
	say("one\ntwo", map[string]string{"TBX_STATE": "idle", "EMPTY": ""})
	buf := make([]byte, 4096)
	n, err := server.Read(buf)
	want := "MESSAGE\n\x07\x00\x00\x00\x00\x00\x00\x00one\ntwo\n"
	if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, want) || !strings.Contains(got, "TBX_STATE\n\x04\x00\x00\x00\x00\x00\x00\x00idle\n") || strings.Contains(got, "EMPTY") {
		t.Errorf("%q, %v", got, err)
	}
	if _, ok := tell.Journal(path + "none"); ok {
		t.Error("a journal that is not there")
	}
}
