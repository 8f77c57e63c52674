package hostbridge_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

// An isolated toolbox sends all that the protocol lets it, under a rule that allows
// it something, and is refused thousands of times, by each cause.
func TestB26_FloodOfLinesFromAToolbox(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Box.Isolated = true })
	b.Refused(t, 126, "sudo", "cat", "/etc/shadow")
	var vars []string
	for range wire.MaxEnv {
		vars = append(vars, strings.Repeat("\x01", wire.MaxValue-2)+"=x")
	}
	large := wire.Start{Flags: wire.FlagVerb, Token: token(t, b.Local), Cwd: strings.Repeat("\x02", wire.MaxPath), Argv: []string{"notify", strings.Repeat(`"`, 1024)}, Env: vars}
	frames, err := large.Frames()
	if err != nil {
		t.Fatal(err)
	}
	wrong := wire.Start{Token: bytes.Repeat([]byte("w"), 32), Cwd: "/", Argv: []string{"true"}}
	wrongs, _ := wrong.Frames()
	requests := [][]wire.Frame{frames, wrongs, {start(t, b.Local, "mount", strings.Repeat("\x03", 10_000))}, {{Type: wire.TypeMore}}}
	const rounds = 500
	for range rounds {
		for _, r := range requests {
			fd := connect(t, b.Local)
			for _, f := range r {
				if wire.Send(fd, f) != nil {
					break
				}
			}
			answer(t, fd)
			unix.Close(fd)
		}
	}
	b.Local.Box.Process.Kill() // what was counted is written at the latest when the toolbox ends
	b.Local.Box.Wait()
	var recs []hostbridge.AuditEntry
	bridgetest.Eventually(t, "the count is written", func() bool {
		recs = b.Local.Audit()
		return slices.ContainsFunc(recs, func(r hostbridge.AuditEntry) bool { return r.Event == "refused" && r.More > 3*rounds/2 })
	})
	data, err := os.ReadFile(b.Local.Config.Audit)
	if err != nil || len(data) > 2<<20 {
		t.Errorf("%d requests made %d KiB of log, %v", rounds*len(requests), len(data)>>10, err)
	}
	for line := range bytes.Lines(data) {
		if len(line) > 8<<10 {
			t.Fatalf("a line of %d bytes: %.200s", len(line), line)
		}
	}
	if first := recs[0]; len(first.Argv) != 3 || first.Argv[2] != "/etc/shadow" || first.Decision != hostbridge.Deny {
		t.Errorf("the first line is %+v", first)
	}
	refused := uint64(0)
	for _, r := range recs {
		if r.Event == "refused" {
			refused += r.More
		} else if r.Decision != hostbridge.Allow {
			refused++
		}
	}
	if refused < 3*rounds+1 {
		t.Errorf("the log tells of %d refusals, there were at least %d", refused, 3*rounds+1)
	}
}
