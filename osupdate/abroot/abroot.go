// Package abroot drives ABRoot (Vanilla OS): two roots, the other one is written
// while the system runs. Facts: docs/design/updaters.md. ABRoot prints an error
// and ends with 0 when it is not root, and with 1 both for "no update" and for a
// failure, so that its texts and answers decide, never its code alone.
package abroot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// Backend is ABRoot.
type Backend struct {
	tools   *osupdate.Tools
	program string
	booted  string // label of the running root, vos-a or vos-b; empty when unknown
	lock    string
}

var _ osupdate.Backend = (*Backend)(nil)

// New returns the backend; booted is the label of the running root's partition.
func New(tools *osupdate.Tools, root, booted string) (*Backend, error) {
	path, err := tools.Path("abroot")
	if err != nil {
		return nil, err
	}
	return &Backend{tools, path, booted, filepath.Join(root, "run/abroot/operation.lock")}, nil
}

// Kind is osupdate.ABRoot.
func (b *Backend) Kind() osupdate.Kind { return osupdate.ABRoot }

// Capabilities of ABRoot 2.
func (b *Backend) Capabilities() osupdate.Capabilities {
	image := "it is part of the image"
	one := "ABRoot keeps exactly two systems"
	return osupdate.Capabilities{
		Has: []osupdate.Capability{osupdate.CanCheck, osupdate.CanUpgradeInRun, "upgrade", "rollback", "switch", "install", "uninstall",
			"cancel"},
		Lacks: map[osupdate.Capability]string{
			osupdate.CanOneTime: "ABRoot takes images from its registry only",
			"pin":               one, "unpin": one, "override-replace": image, "override-remove": image, "override-reset": image,
			"kargs": "edit them in ABRoot's own editor: sudo abroot kargs edit", "initramfs": "make it anew with: sudo abroot update-initramfs",
			"apply-live": "reboot instead: tbx host reboot", "overlay": image, "cleanup": one,
			osupdate.CanDiff: "the check tells which packages change", osupdate.CanEtcDiff: "ABRoot keeps /etc as an overlay and does not list it",
			osupdate.CanVersion: "ABRoot takes the newest of its image only", osupdate.CanDownload: "an update is written as it is downloaded",
		},
	}
}

type answer struct {
	Present string `json:"present"` // the default root
	Future  string `json:"future"`
	Image   struct {
		Digest    string    `json:"digest"`
		Timestamp time.Time `json:"timestamp"`
		Image     string    `json:"image"`
	} `json:"abimage"`
	Kargs    string          `json:"kargs"`
	Unstaged json.RawMessage `json:"pkgsUnstg"` // asked for, and on no root yet
	Added    []string        `json:"pkgsAdd"`
	Removed  []string        `json:"pkgsRm"`
}

func parse(data []byte, booted string) (*osupdate.State, error) {
	var a answer
	if err := json.Unmarshal(object(data), &a); err != nil {
		return nil, err
	}
	if a.Present == "" || a.Future == "" || a.Present == a.Future || a.Image.Image == "" {
		return nil, errors.New("it does not name two roots and their image")
	}
	s := &osupdate.State{Backend: osupdate.ABRoot, Tracked: a.Image.Image, Boot: osupdate.Boot{By: osupdate.ByUpdate}}
	changes := &osupdate.Changes{Layered: a.Added, Removed: a.Removed, NotInUse: names(a.Unstaged)}
	for _, label := range []string{a.Present, a.Future} {
		d := osupdate.Deployment{ID: label, Booted: label == booted, Tracks: a.Image.Image}
		if label == a.Present {
			d.Changes = changes // of what boots next
		}
		if label == booted {
			d.Image = &osupdate.Image{Reference: a.Image.Image, Transport: "registry", Digest: a.Image.Digest, Signature: "unknown"}
			d.Kargs = osupdate.SplitKargs(a.Kargs)
			d.Changes = changes
			if !a.Image.Timestamp.IsZero() {
				t := a.Image.Timestamp.UTC()
				d.Time = &t
			}
		}
		s.Deployments = append(s.Deployments, d)
	}
	return s.Arrange(), nil
}

// object is data from the first line that begins a JSON object on: warnings may
// stand before it, as of a program that is not installed.
func object(data []byte) []byte {
	for rest := data; len(rest) > 0; {
		if bytes.HasPrefix(bytes.TrimSpace(rest), []byte("{")) {
			return rest
		}
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	return data
}

// names reads the names of packages: strings, with a sign before them or not, or
// objects that have them as values.
func names(raw json.RawMessage) []string {
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []string
	for _, item := range list {
		switch v := item.(type) {
		case string:
			out = append(out, strings.TrimLeft(v, "+- "))
		case map[string]any:
			for _, key := range []string{"name", "Name"} {
				if name, ok := v[key].(string); ok {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// run looks at what the program says even when it ends with 0.
func (b *Backend) run(ctx context.Context, args ...string) ([]byte, error) {
	argv := append([]string{b.program}, args...)
	out, stderr, err := b.tools.Run(ctx, osupdate.Call{Argv: argv, Env: []string{"ABROOT_JSON_OUTPUT=1"}})
	if err == nil {
		err = b.Explain(&osupdate.ToolError{Argv: argv, Stdout: string(out), Stderr: string(stderr)})
	}
	return out, err
}

// State needs root.
func (b *Backend) State(ctx context.Context) (*osupdate.State, error) {
	out, err := b.run(ctx, "status", "-j")
	if err != nil {
		return nil, err
	}
	s, err := parse(out, b.booted)
	if err != nil {
		return nil, osupdate.BadOutput([]string{b.program, "status", "-j"}, out, err)
	}
	s.Busy = osupdate.PIDLock(b.lock)
	if s.Boot.State == osupdate.BootRunning && osupdate.Blessed(ctx, b.tools) == "indeterminate" {
		s.Boot.State = osupdate.BootUnblessed
		s.Arrange()
	}
	return s, nil
}

type changes struct {
	Added, Upgraded, Downgraded, Removed []struct {
		Name string `json:"name"`
		Old  string `json:"previous_version"`
		New  string `json:"new_version"`
	}
}

// Check believes the JSON, and the code only when there is none.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	out, err := b.run(ctx, "upgrade", "-c")
	var te *osupdate.ToolError
	if err != nil && !(osupdate.ProblemOf(err) == nil && errors.As(err, &te) && te.Code == 1) {
		return nil, err
	}
	var doc struct {
		HasUpdate *bool   `json:"hasUpdate"`
		Digest    string  `json:"newDigest"`
		System    changes `json:"systemPackageDiff"`
	}
	if jsonErr := json.Unmarshal(object(out), &doc); jsonErr != nil || doc.HasUpdate == nil {
		if te != nil {
			return nil, te // no answer: it failed
		}
		return nil, osupdate.BadOutput([]string{b.program, "upgrade", "-c"}, out, errors.Join(jsonErr, errors.New("hasUpdate is missing")))
	}
	if !*doc.HasUpdate {
		return nil, nil
	}
	d := &osupdate.Diff{From: "the running system", To: doc.Digest, Packages: true}
	for _, c := range slices.Concat(doc.System.Upgraded, doc.System.Downgraded) {
		d.Changed = append(d.Changed, fmt.Sprintf("%s %s -> %s", c.Name, c.Old, c.New))
	}
	for _, c := range doc.System.Added {
		d.Added = append(d.Added, c.Name)
	}
	for _, c := range doc.System.Removed {
		d.Removed = append(d.Removed, c.Name)
	}
	return &osupdate.Update{Checksum: doc.Digest, Packages: d, Source: "abroot upgrade -c"}, nil
}

// Plan maps the verbs to ABRoot's.
func (b *Backend) Plan(ctx context.Context, s *osupdate.State, r osupdate.Request) (*osupdate.Plan, error) {
	if why, lacks := b.Capabilities().Lacks[osupdate.Capability(r.Verb)]; lacks {
		return nil, osupdate.Unsupported(osupdate.ABRoot, r.Verb, why)
	}
	p := &osupdate.Plan{NeedsRoot: true, NeedsBoot: true, Reversible: true, Network: true}
	other := s.Deployments[1].ID
	step := func(effect string, args ...string) {
		p.Steps = append(p.Steps, osupdate.Step{Argv: append([]string{b.program}, args...), Effect: effect})
	}
	switch r.Verb {
	case osupdate.Upgrade:
		if err := b.upgrade(ctx, s, r, p, step); err != nil {
			return nil, err
		}
	case osupdate.Rollback:
		d, err := s.Back(r.Target)
		if err != nil {
			return nil, err
		}
		p.Network = false
		if d.Next {
			p.Unchanged = d.Name() + " boots next already"
			break
		}
		step("boot "+d.Name()+" next", "rollback")
	case osupdate.Switch:
		if s.Tracked == r.Target {
			p.Unchanged = "the host follows " + r.Target + " already"
			break
		}
		if to := osupdate.ParseSource(r.Target); to.Scheme != "" || to.Transport != "registry" || to.Text != r.Target {
			return nil, fail.New(fail.Usage, "switch: %q is no image of a registry, and ABRoot follows those only", r.Target).
				Hint("name one with its registry: tbx host switch REGISTRY/NAME:TAG")
		}
		if err := osupdate.KeepsProven(s, r.Verb, other); err != nil {
			return nil, err
		}
		step("follow "+r.Target+" from now on", "rebase", r.Target)
		step("write it to "+other+" and boot it next", "upgrade")
	case osupdate.Install, osupdate.Uninstall:
		if err := osupdate.KeepsProven(s, r.Verb, other); err != nil {
			return nil, err
		}
		b.packages(s, r, step)
	case osupdate.Cancel:
		p.Network, p.NeedsBoot = false, false
		switch {
		case s.Busy != nil:
			step("stop "+s.Busy.What, "upgrade", "--cancel")
		case s.Waits() != nil:
			step("boot the running "+s.Booted().Name()+" next; "+s.Next().Name()+" stays until the next update", "rollback")
		default:
			p.Unchanged = "nothing runs, and nothing waits for the next boot"
		}
	}
	return p.Finish(osupdate.ABRoot, r), nil
}

// upgrade writes the root that is not running, once an update is known: the program
// ends with 1 both for "no update" and for a failure.
func (b *Backend) upgrade(ctx context.Context, s *osupdate.State, r osupdate.Request, p *osupdate.Plan,
	step func(effect string, args ...string)) error {
	if err := b.Capabilities().Refuses(osupdate.ABRoot, r); err != nil {
		return err
	}
	if r.AllowDowngrade {
		return osupdate.Unsupported(osupdate.ABRoot, osupdate.Verb(osupdate.CanDowngrade), b.Capabilities().Lacks[osupdate.CanVersion])
	}
	other := s.Deployments[1].ID
	if err := osupdate.KeepsProven(s, r.Verb, other); err != nil {
		return err
	}
	if next := s.Next(); s.Booted() != nil && next != nil && !next.Booted {
		other = next.ID // a second upgrade
	}
	switch u, err := b.Check(ctx, s); {
	case err != nil:
		return err
	case u == nil:
		p.Unchanged = "there is no update"
	default:
		step("write the newest "+s.Tracked+" to "+other+" and boot it next", "upgrade")
	}
	return nil
}

// packages adds to the list those that are not on it, and builds the list. What an
// earlier call asked for and failed to build is on the list already.
func (b *Backend) packages(s *osupdate.State, r osupdate.Request, step func(effect string, args ...string)) {
	verb := map[osupdate.Verb]string{osupdate.Install: "add", osupdate.Uninstall: "remove"}[r.Verb]
	left := r.Packages
	if c := s.Head().Changes; c != nil && r.Verb == osupdate.Install {
		left = slices.DeleteFunc(slices.Clone(left), func(p string) bool {
			return slices.Contains(c.Layered, p) && slices.Contains(c.NotInUse, p)
		})
	}
	if len(left) > 0 {
		step(verb+" "+strings.Join(left, ", "), append([]string{"pkg", verb}, left...)...)
	}
	step("build the system with it into the other root and boot it next", "pkg", "apply")
}

// Explain also judges successes: without root ABRoot ends with 0.
func (b *Backend) Explain(te *osupdate.ToolError) error {
	return osupdate.Explain(osupdate.ABRoot, []osupdate.Rule{
		osupdate.NewRule(`(?i)must be run (?:as|with) root|root privileges|root required|you must be root`, osupdate.ErrPermission,
			"it needs root, even to look", "run it from a session that can ask for a password, or with sudo"),
		osupdate.NewRule(`(?i)another operation is currently running`, osupdate.ErrBusy, "another operation runs",
			"try again when it is done, or stop it: tbx host cancel"),
		osupdate.NewRule(`(?i)no space left on device`, osupdate.ErrSpace, "the other root is full",
			"remove layered packages: tbx host uninstall PACKAGE"),
	}, te)
}
