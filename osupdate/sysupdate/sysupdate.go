// Package sysupdate drives systemd-sysupdate: versions side by side, the newest
// complete one boots. Facts: systemd-sysupdate(8), and runs of 257 and 262, recorded
// in testdata/real and made again by the tests where the program is installed. There
// is no verb to go back; the boot menu and boot counting do that.
package sysupdate

import (
	"context"
	"encoding/json"
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

var (
	_ osupdate.Backend = (*Backend)(nil)
	_ osupdate.Limited = (*Backend)(nil)
)

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
			osupdate.CanOneTime: "add a transfer file with Type=regular-file for it: sysupdate.d(5)",
			"rollback":          "choose the older version in the boot menu; a version that fails to boot is left by boot counting",
			"pin":               "set ProtectVersion= in a transfer file: sysupdate.d(5)",
			"unpin":             "remove ProtectVersion= from the transfer file: sysupdate.d(5)",
			"switch":            "the source is set by the transfer files: sysupdate.d(5)",
			"install":           layer, "uninstall": layer, "override-replace": layer, "override-remove": layer, "override-reset": layer,
			"kargs": image, "initramfs": image, "apply-live": "reboot instead: tbx host reboot",
			"overlay": "merge a mutable extension: systemd-sysext --mutable=yes merge",
			"cancel":  "an update here is made at once; press Ctrl-C where it runs", osupdate.CanDiff: "images are not compared",
			osupdate.CanEtcDiff:  "/etc has no defaults to compare with",
			osupdate.CanDownload: "this version installs an update as it downloads it; 262 and newer can download alone",
		},
	}
}

// version is what `list VERSION` says of one.
type version struct {
	Partial    bool `json:"partial"`
	Pending    bool `json:"pending"`
	Incomplete bool `json:"incomplete"`
	Contents   []struct {
		Left *int `json:"tries-left"`
	} `json:"contents"`
}

// why is the reason why a version cannot boot; empty when it can.
func (v *version) why() string {
	switch {
	case v.Partial:
		return "partly installed"
	case v.Pending:
		return "downloaded, and not installed"
	case v.Incomplete:
		return "incomplete: a part of it is missing"
	}
	for _, c := range v.Contents {
		if c.Left != nil && *c.Left == 0 {
			return "given up by boot counting"
		}
	}
	return ""
}

// State lists what is installed, without the network. Of the versions that are newer
// than the running one it also asks whether they can boot.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	argv := []string{b.program, "--json=short", "--offline", "list"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	versions, marks, err := parseList(out)
	if err != nil {
		return nil, osupdate.BadOutput(argv, out, err)
	}
	s := &osupdate.State{Backend: osupdate.Sysupdate, Tracked: "sysupdate.d", Boot: osupdate.Boot{By: osupdate.ByUpdate}}
	newer := true
	for _, v := range versions {
		newer = newer && v != b.running
		d := osupdate.Deployment{ID: "version " + v, Version: v, Booted: v == b.running, Tracks: "sysupdate.d", Incomplete: marks[v]}
		if newer && d.Incomplete == "" {
			d.Incomplete = b.details(ctx, v)
		}
		if newer && d.Incomplete != "" {
			s.Warnings = append(s.Warnings, "version "+v+" does not boot next: "+d.Incomplete+advice(d.Incomplete))
		}
		s.Deployments = append(s.Deployments, d)
	}
	if s.Arrange(); s.Boot.State == osupdate.BootRunning && osupdate.Blessed(ctx, b.tools) == "indeterminate" {
		s.Boot.State = osupdate.BootUnblessed
		s.Arrange()
	}
	return s, nil
}

func advice(why string) string {
	if strings.Contains(why, "downloaded") {
		return "; install it with: tbx host upgrade"
	}
	return "; delete it with: tbx host cleanup, then upgrade again"
}

// details asks for one version. Versions before 257 print a table that says less:
// then nothing is known against it.
func (b *Backend) details(ctx context.Context, name string) string {
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: []string{b.program, "--json=short", "--offline", "list", name}})
	var v version
	if err != nil || json.Unmarshal(out, &v) != nil {
		return ""
	}
	return v.why()
}

// NotChecked: a version that is there in part hides what is newer.
func (b *Backend) NotChecked(s *osupdate.State) []string {
	var out []string
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Booted {
			break
		}
		if d.Incomplete != "" {
			out = append(out, "version "+d.Version+", which is "+d.Incomplete)
		}
	}
	return out
}

// Plan maps upgrade and cleanup. Nothing can be undone: there is no verb to go back.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	p := &osupdate.Plan{NeedsRoot: true, NeedsBoot: true}
	switch {
	case r.Verb == osupdate.Upgrade && !r.AllowDowngrade:
		if err := b.upgrade(ctx, s, r, p); err != nil {
			return nil, err
		}
	case r.Verb == osupdate.Cleanup && len(r.Parts) == 0:
		if err := osupdate.KeepsProven(s, r.Verb, "an older version"); err != nil {
			return nil, err
		}
		p.NeedsBoot = false
		p.Steps = []osupdate.Step{{Argv: []string{b.program, "vacuum"}, Effect: "delete old and partly installed versions",
			Idle: says("Found nothing to remove")}}
	case r.Verb == osupdate.Cleanup:
		return nil, fail.New(osupdate.ErrUnsupported, "systemd-sysupdate decides itself which versions go").
			Hint("clean up without naming parts: tbx host cleanup")
	case r.Verb == osupdate.Upgrade:
		return nil, osupdate.Unsupported(osupdate.Sysupdate, osupdate.Verb(osupdate.CanDowngrade),
			"name the older version, which needs no permission: tbx host upgrade --to VERSION")
	default:
		return nil, osupdate.Unsupported(osupdate.Sysupdate, r.Verb, b.Capabilities().Lacks[osupdate.Capability(r.Verb)])
	}
	return p.Finish(osupdate.Sysupdate, r), nil
}

func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan) error {
	if err := osupdate.KeepsProven(s, r.Verb, "an older version"); err != nil {
		return err // a download makes room, too
	}
	p.Network = true
	verb, effect := "update", "install the newest version beside the running one; it boots next"
	if r.DownloadOnly {
		if !b.atLeast(ctx, 262) {
			return osupdate.Unsupported(osupdate.Sysupdate, osupdate.Verb(osupdate.CanDownload), b.Capabilities().Lacks[osupdate.CanDownload])
		}
		verb, effect, p.NeedsBoot = "acquire", "download the newest version; it is not installed", false
	}
	step := osupdate.Step{Argv: []string{b.program, verb}, Effect: effect, Read: osupdate.Percent("update"), Idle: says("No update needed")}
	if r.Target != "" {
		if n := s.Next(); n != nil && n.Version == r.Target {
			p.Unchanged = r.Target + " boots next already"
			return nil
		}
		step.Argv, step.Effect = append(step.Argv, r.Target), "install version "+r.Target+" beside the running one"
	}
	p.Steps = []osupdate.Step{step}
	return nil
}

func says(words string) func(string, string, int) bool {
	return func(stdout, stderr string, _ int) bool { return strings.Contains(stdout+stderr, words) }
}
