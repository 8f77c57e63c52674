// Package sysupdate drives systemd-sysupdate: versions side by side, the newest
// boots. Facts: systemd-sysupdate(8), and the research page's §1.7. There is no
// verb to go back; the boot menu and boot counting do that.
package sysupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// Backend is systemd-sysupdate.
type Backend struct {
	tools   *osupdate.Tools
	program string
	running string // IMAGE_VERSION of os-release(5)
}

var _ osupdate.Backend = (*Backend)(nil)

// New returns the backend; running is the IMAGE_VERSION of the running system.
func New(tools *osupdate.Tools, running string) (*Backend, error) {
	path, err := tools.Path("systemd-sysupdate")
	if err != nil {
		return nil, err
	}
	return &Backend{tools, path, running}, nil
}

// Kind is osupdate.Sysupdate.
func (b *Backend) Kind() osupdate.Kind { return osupdate.Sysupdate }

// Capabilities: upgrade and clean-up.
func (b *Backend) Capabilities() osupdate.Capabilities {
	layer := "images have no package layer; install it in a toolbox, or as a system extension: systemd-sysext(8)"
	image := "it is part of the image"
	return osupdate.Capabilities{
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanVersion, osupdate.CanUpgradeInRun, "upgrade", "cleanup"},
		Lacks: map[osupdate.Capability]string{
			"rollback": "choose the older version in the boot menu; a version that fails to boot is left by boot counting",
			"pin":      "set ProtectVersion= in a transfer file: sysupdate.d(5)", "unpin": "remove ProtectVersion= from the transfer file: sysupdate.d(5)",
			"switch":  "the source is set by the transfer files: sysupdate.d(5)",
			"install": layer, "uninstall": layer, "override-replace": layer, "override-remove": layer, "override-reset": layer,
			"kargs": image, "initramfs": image, "apply-live": "reboot instead: tbx host reboot", "overlay": "merge a mutable extension: systemd-sysext --mutable=yes merge",
			"cancel": "an update here is made at once; press Ctrl-C where it runs", osupdate.CanDiff: "images are not compared", osupdate.CanEtcDiff: "/etc has no defaults to compare with",
			osupdate.CanDownload: "an update is installed as it is downloaded",
		},
	}
}

// State lists what is installed, without the network.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	argv := []string{b.program, "--json=short", "--offline", "list"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	versions, err := parseList(out)
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	s := &osupdate.State{Backend: osupdate.Sysupdate, Tracked: "sysupdate.d"}
	for _, v := range versions {
		s.Deployments = append(s.Deployments, osupdate.Deployment{ID: "version " + v, Version: v, Booted: v == b.running, Tracks: "sysupdate.d"})
	}
	return s.Arrange(), nil
}

// parseList reads both forms of `list`: since 257 an object with all versions,
// newest first; before, the table as an array of rows.
func parseList(data []byte) ([]string, error) {
	var doc struct {
		All []string `json:"all"`
	}
	var rows []struct {
		Version   string `json:"version"`
		Installed string `json:"installed"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		if err := json.Unmarshal(data, &rows); err != nil {
			return nil, err
		}
		for _, r := range rows {
			if strings.TrimSpace(r.Installed) != "" {
				doc.All = append(doc.All, r.Version)
			}
		}
	}
	var out []string
	for _, v := range doc.All {
		if v == "" || slices.Contains(out, v) {
			return nil, fmt.Errorf("version %q is empty or named twice", v)
		}
		out = append(out, v)
	}
	return out, nil
}

// Check: the program ends with 0 when there is an update, and with another code
// both when there is none and when it failed.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	argv := []string{b.program, "--json=short", "check-new"}
	out, stderr, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	var te *osupdate.ToolError
	if err != nil && !(osupdate.ProblemOf(err) == nil && errors.As(err, &te) && te.Code == 1 && !strings.Contains(string(stderr), "Failed")) {
		return nil, err
	}
	var doc struct {
		Available string `json:"available"`
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		if jsonErr := json.Unmarshal([]byte(text), &doc); jsonErr != nil {
			return nil, osupdate.BadOutput(argv, out, jsonErr)
		}
	}
	if doc.Available == "" {
		return nil, nil
	}
	return &osupdate.Update{Version: doc.Available, Source: "systemd-sysupdate check-new"}, nil
}

// Plan maps upgrade and cleanup.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	p := &osupdate.Plan{NeedsRoot: true, NeedsBoot: true, Reversible: true}
	switch {
	case r.Verb == osupdate.Upgrade && !r.DownloadOnly && !r.AllowDowngrade:
		p.Network = true
		step := osupdate.Step{Argv: []string{b.program, "update"}, Effect: "install the newest version beside the running one; it boots next", Read: osupdate.Percent("update")}
		if r.Target != "" {
			if s.Next() != nil && s.Next().Version == r.Target {
				p.Unchanged = r.Target + " boots next already"
			}
			step.Argv, step.Effect = append(step.Argv, r.Target), "install version "+r.Target+" beside the running one"
		}
		p.Steps = []osupdate.Step{step}
	case r.Verb == osupdate.Cleanup && len(r.Parts) == 0:
		p.NeedsBoot, p.Reversible = false, false
		p.Steps = []osupdate.Step{{Argv: []string{b.program, "vacuum"}, Effect: "delete old versions beyond the number that is kept"}}
	case r.Verb == osupdate.Cleanup:
		return nil, fail.New(osupdate.ErrUnsupported, "systemd-sysupdate decides itself which versions go").Hint("clean up without naming parts: tbx host cleanup")
	case r.Verb == osupdate.Upgrade:
		return nil, osupdate.Unsupported(osupdate.Sysupdate, r.Verb, b.Capabilities().Lacks[osupdate.CanDownload])
	default:
		return nil, osupdate.Unsupported(osupdate.Sysupdate, r.Verb, b.Capabilities().Lacks[osupdate.Capability(r.Verb)])
	}
	return p.Finish(osupdate.Sysupdate, r), nil
}

// Explain knows the program's texts.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.Sysupdate, []osupdate.Rule{
		osupdate.NewRule(`(?i)signature verification failed|Failed to verify`, osupdate.ErrSignature,
			"the update is not signed by a key that this host trusts", "nothing was changed; ask its maker whether the key has changed"),
		osupdate.NewRule(`Device or resource busy|already running`, osupdate.ErrBusy, "another update runs", "try again when it is done"),
	}, te)
}
