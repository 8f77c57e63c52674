package sysupdate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// problems are the kinds of the recorded failures of 262.
func problems() map[string]*osupdate.Problem {
	return map[string]*osupdate.Problem{
		"sysupdate-edge-262/10-check": osupdate.ErrSignature, "sysupdate-edge-262/12-update": osupdate.ErrSignature, "sysupdate-edge-262/15-update": osupdate.ErrCorrupt,
		"sysupdate-edge-262/20-check": osupdate.ErrNetwork, "sysupdate-edge-262/23-check": osupdate.ErrNotFound, "sysupdate-edge-262/26-check": osupdate.ErrNetwork,
		"sysupdate-edge2-262/60-list":      osupdate.ErrUnsupported,
		"sysupdate-edge3-262/13-bad-check": osupdate.ErrSignature, "sysupdate-edge3-262/14-bad": osupdate.ErrSignature, "sysupdate-edge3-262/17-other-check": osupdate.ErrSignature,
		"sysupdate-edge3-262/21-nokeys": osupdate.ErrSignature, "sysupdate-edge3-262/01-enospc": osupdate.ErrSpace,
	}
}

// TestH31_BadSignatureIsNoAbsence: every failure of a check is one, a bad signature
// above all; "there is no update" is said when the program said it.
func TestH31_BadSignatureIsNoAbsence(t *testing.T) {
	seen := 0
	for _, r := range osupdatetest.ReadRecorded(t, "testdata/real/errors-262.txt") {
		kind, ok := problems()[r.Command]
		if !ok {
			continue
		}
		seen++
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
			{Args: list, Stdout: `{"current":"49","all":["49"]}`}, {Args: check, Stdout: strings.TrimSpace(r.Stdout), Stderr: r.Stderr, Code: r.Code},
		}})
		h, err := osupdate.Open(config(t, tool, "49"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.Check(t.Context())
		if !errors.Is(err, kind) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %+v, %v", r.Command, c, err)
		}
	}
	if seen != len(problems()) {
		t.Errorf("%d of %d were recorded", seen, len(problems()))
	}
}

// TestH7_WhatCannotBoot: partly installed, pending, incomplete and given up by boot
// counting: not next, no update taken, and cleanup is named.
func TestH7_WhatCannotBoot(t *testing.T) {
	one := func(members string) string {
		return `{"version":"51","newest":true,"installed":true,` + members + `"changelogUrls":[]}`
	}
	for name, c := range map[string]struct{ list, detail, why string }{
		"partial":    {`{"current+partial":"51","all":["51","49"],"appstreamUrls":[]}`, "", "partly installed"},
		"pending":    {`{"current+pending":"51","all":["51","49"],"appstreamUrls":[]}`, "", "downloaded"},
		"incomplete": {`{"current":"51","all":["51","49"],"appstreamUrls":[]}`, one(`"partial":false,"pending":false,"incomplete":true,`), "incomplete"},
		"given up": {`{"current":"51","all":["51","49"],"appstreamUrls":[]}`,
			one(`"contents":[{"type":"regular-file","tries-done":null,"tries-left":null},{"path":"/uki_51+0-3.efi","tries-done":3,"tries-left":0}],`), "boot counting"},
	} {
		t.Run(name, func(t *testing.T) {
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
				{Args: list, Stdout: c.list}, {Args: list + " 51", Stdout: c.detail, Maybe: true},
				{Args: check, Stdout: `{"available":null}`, Code: 1}, {Args: "update", Stderr: "No update needed.\n"},
			}})
			h, err := osupdate.Open(config(t, tool, "49"))
			if err != nil {
				t.Fatal(err)
			}
			st, err := h.Status(t.Context())
			if err != nil || st.State.Next().Version != "49" || !strings.Contains(st.State.Deployments[0].Incomplete, c.why) || st.State.Reboot != "" || len(st.State.Warnings) == 0 {
				t.Errorf("%+v, %v", st.State, err)
			}
			if checked, err := h.Check(t.Context()); err != nil || len(checked.NotChecked) == 0 || checked.Staged != "" {
				t.Errorf("check: %+v, %v", checked, err)
			}
			res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
			if err == nil && len(res.Warnings) == 0 {
				t.Errorf("upgrade: %+v", res)
			}
		})
	}
}

// TestH22_NotYetBlessed: the last version that has proven itself is not overwritten.
func TestH22_NotYetBlessed(t *testing.T) {
	for word, refused := range map[string]bool{"indeterminate": true, "good": false, "clean": false} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{
			"systemd-sysupdate":  {{Args: list, Stdout: `{"current":"50","all":["50","49"]}`}},
			"systemd-bless-boot": {{Args: "status", Stdout: word + "\n"}},
		})
		h, err := osupdate.Open(config(t, tool, "50"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Upgrade})
		if errors.Is(err, osupdate.ErrUnsafe) != refused || refused && len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v", word, err)
		}
		if st, err := h.Status(t.Context()); err != nil || (st.State.Boot.State == osupdate.BootUnblessed) != refused {
			t.Errorf("%s: %+v, %v", word, st, err)
		}
	}
}

// TestH38_DownloadAlone is acquire, which 262 has; nothing here can be undone.
func TestH38_DownloadAlone(t *testing.T) {
	for version, can := range map[string]bool{"systemd 257 (257.9-1)\n": false, "systemd 262 (262-1)\n": true} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
			{Args: list, Stdout: `{"current":"50","all":["50","49"]}`}, {Args: "--version", Stdout: version},
		}})
		h, err := osupdate.Open(config(t, tool, "50"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Upgrade, DownloadOnly: true})
		if can != (err == nil) || can && (p.Steps[0].Argv[1] != "acquire" || p.Reversible) {
			t.Errorf("%q: %+v, %v", version, p, err)
		}
	}
}

// TestH24_FullBootPartition: an EFI system partition that is full says so by an input
// and output error.
func TestH24_FullBootPartition(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
		{Args: list, Stdout: `{"current":"49","all":["49"]}`}, {Args: "update", Stderr: "Failed to write file: Input/output error\n", Code: 1},
	}})
	h, err := osupdate.Open(config(t, tool, "49"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
	if !errors.Is(err, osupdate.ErrSpace) || !strings.Contains(err.Error(), "EFI system partition") || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
}
