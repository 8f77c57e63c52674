package sysupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// parseList reads both forms of `list`: since 257 an object with all versions,
// newest first, and the state of the newest in the name of its key,
// "current+partial"; before, the table as an array of rows.
func parseList(data []byte) (versions []string, marks map[string]string, err error) {
	var doc struct {
		All []string `json:"all"`
	}
	var keys map[string]json.RawMessage
	var rows []struct {
		Version   string `json:"version"`
		Installed string `json:"installed"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		if err := json.Unmarshal(data, &rows); err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			if strings.TrimSpace(r.Installed) != "" {
				doc.All = append(doc.All, r.Version)
			}
		}
	}
	marks = map[string]string{}
	if json.Unmarshal(data, &keys) == nil {
		for key, raw := range keys {
			var name string
			if parts := strings.Split(key, "+"); len(parts) > 1 && json.Unmarshal(raw, &name) == nil {
				v := version{Partial: slices.Contains(parts, "partial"), Pending: slices.Contains(parts, "pending"),
					Incomplete: slices.Contains(parts, "incomplete")}
				marks[name] = v.why()
			}
		}
	}
	for _, v := range doc.All {
		if v == "" || slices.Contains(versions, v) {
			return nil, nil, fmt.Errorf("version %q is empty or named twice", v)
		}
		versions = append(versions, v)
	}
	return versions, marks, nil
}

// failed are words of a check that did not come to its end.
var failed = pattern.Lazy(`(?i)fail|invalid|error|denied|refused|cannot|unable|no transfer definitions`)

// Check: the program ends with 0 when there is an update, and with 0 or 1 when there
// is none: 257 answers {"available":null}, older ones nothing. It also ends with 1 for
// every failure, a bad signature among them, so that an answer alone counts.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	argv := []string{b.program, "--json=short", "check-new"}
	out, stderr, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	text := strings.TrimSpace(string(out))
	var te *osupdate.ToolError
	if err != nil {
		answered := osupdate.ProblemOf(err) == nil && errors.As(err, &te) && te.Code == 1
		if !answered || text == "" && failed().Match(stderr) || text != "" && !strings.HasPrefix(text, "{") {
			return nil, err
		}
	}
	var doc struct {
		Available *string `json:"available"`
	}
	if text != "" {
		if jsonErr := json.Unmarshal([]byte(text), &doc); jsonErr != nil {
			return nil, osupdate.BadOutput(argv, out, jsonErr)
		}
	}
	if doc.Available == nil || *doc.Available == "" {
		return nil, nil
	}
	return &osupdate.Update{Version: *doc.Available, Source: "systemd-sysupdate check-new"}, nil
}

var versionLine = pattern.Lazy(`^systemd (\d+)`)

// atLeast asks for the version of systemd.
func (b *Backend) atLeast(ctx context.Context, want int) bool {
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{b.program, "--version"}})
	m := versionLine().FindStringSubmatch(string(out))
	if err != nil || m == nil {
		return false
	}
	n, err := strconv.Atoi(m[1])
	return err == nil && n >= want
}

// Explain knows the texts of systemd-sysupdate and of systemd-pull, which it starts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Sysupdate, []osupdate.Rule{
		osupdate.NewRule(`Checksum of .* (?:does not match|did not check out)|checksum mismatch`, osupdate.ErrCorrupt,
			"what was downloaded is not what the source's list says", "nothing was changed; try again, or tell the source's maker"),
		osupdate.NewRule(`DOWNLOAD INVALID|(?i)signature verification failed|Failed to verify|BAD signature`, osupdate.ErrSignature,
			"the update is not signed by a key that this host trusts",
			"nothing was changed; its keys are in /etc/systemd/import-pubring.gpg; ask the maker whether they have changed"),
		osupdate.NewRule(`Failed to retrieve signature file`, osupdate.ErrSignature,
			"the source has no signature for its list of versions", "nothing was changed; ask its maker for SHA256SUMS.gpg"),
		osupdate.NewRule(`(?i)partially installed`, osupdate.ErrUnverified,
			"a version is there in part, left by an update that was broken off", "delete it: tbx host cleanup, then upgrade again"),
		osupdate.NewRule(`HTTP request to (\S+) failed with code 404`, osupdate.ErrNotFound, "the source does not have %s",
			"see the URL in the transfer files: sysupdate.d(5)"),
		osupdate.NewRule(`HTTP request to \S+ failed with code (\d+)`, osupdate.ErrNetwork, "the source answers with code %s", "try again later"),
		osupdate.NewRule(`Transfer failed: (Could not \w+ \w+)|Could not (?:connect|resolve)`, osupdate.ErrNetwork,
			"the source of updates cannot be reached", "check the network and try again; the host is unchanged"),
		osupdate.NewRule(`(?i)(failed to (?:write|copy)[^\n]*): (?:input/output error|no space)`, osupdate.ErrSpace,
			"%s: the target is full or damaged, often the EFI system partition", "see which: tbx host doctor"),
		osupdate.NewRule(`No transfer definitions found`, osupdate.ErrUnsupported,
			"no transfer file is about the host itself", "see what its components are: systemd-sysupdate components"),
		osupdate.NewRule(`Update '([^']+)' not found`, osupdate.ErrNotFound, "the source has no version %s",
			"see the versions: systemd-sysupdate list"),
		osupdate.NewRule(`Device or resource busy|already running`, osupdate.ErrBusy, "another update runs", "try again when it is done"),
	}, te)
}
