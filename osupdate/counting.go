package osupdate

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Counter is one thing that tells the makers of the distribution that a host is there.
type Counter struct {
	Name  string `json:"name"`
	What  string `json:"what"`  // is sent, and to whom
	State string `json:"state"` // on, off, or absent

	unit string // of systemd; empty: dnf's settings
}

// The states of a counter.
const (
	CountsOn     = "on"
	CountsOff    = "off"
	CountsAbsent = "absent"
)

// Counters looks at what counts this host. It needs no root.
func (h *Host) Counters(ctx context.Context) ([]Counter, error) {
	if h.cfg.Sysroot != "" {
		return nil, fail.New(ErrUnsupported, "%s is not the running system: nothing of it is counted", h.cfg.Sysroot).
			Hint("leave --sysroot out")
	}
	all := []Counter{
		{Name: "rpm-ostree-countme", What: "once a week, the version and an age in four steps, to the repositories of packages",
			unit: "rpm-ostree-countme.timer"},
		{Name: "fedora-coreos-pinger", What: "the platform and the version, to Fedora", unit: "fedora-coreos-pinger.service"},
		{Name: "dnf countme", What: "once a week, the version and an age in four steps, to the repositories of packages"},
	}
	systemctl, err := h.cfg.Tools.Path("systemctl")
	for i := range all {
		c := &all[i]
		switch {
		case c.unit == "":
			c.State = h.dnfCounts()
		case err != nil:
			c.State = CountsAbsent
		default:
			c.State = h.unitCounts(ctx, systemctl, c.unit)
		}
	}
	return all, nil
}

// unitCounts asks for the state of a unit; is-enabled ends with a code for each, and says
// the word all the same.
func (h *Host) unitCounts(ctx context.Context, systemctl, unit string) string {
	out, _, _ := h.cfg.Tools.Run(ctx, Call{Argv: []string{systemctl, "is-enabled", unit}})
	switch word := strings.TrimSpace(string(out)); {
	case strings.HasPrefix(word, "enabled"), word == "static":
		return CountsOn
	case word == "" || word == "not-found":
		return CountsAbsent
	}
	return CountsOff
}

// dnfCounts reads the repositories of the host, dnf.conf(5).
func (h *Host) dnfCounts() string {
	on, off := h.repositories()
	switch {
	case h.dnf() == "" || len(on)+len(off) == 0: // only rpm-ostree reads them, or none counts
		return CountsAbsent
	case len(on) > 0:
		return CountsOn
	}
	return CountsOff
}

// repositories are the names of those that count, and of those that have been told not
// to. dnf5's overrides win.
func (h *Host) repositories() (on, off []string) {
	counts, all := map[string]bool{}, false // all: an override is for every one
	for _, pattern := range []string{"etc/yum.repos.d/*.repo", "etc/dnf/repos.override.d/*.repo"} {
		files, err := filepath.Glob(filepath.Join(h.cfg.Root, pattern))
		if err != nil {
			continue // the pattern is a constant
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			id := ""
			for line := range strings.Lines(string(data)) {
				line = strings.TrimSpace(line)
				if name, ok := strings.CutPrefix(line, "["); ok {
					id = strings.TrimSuffix(name, "]")
				}
				if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "countme" {
					yes := slices.Contains([]string{"1", "true", "yes", "on"}, strings.ToLower(strings.TrimSpace(value)))
					if id == "*" {
						all = !yes
						continue
					}
					counts[id] = yes
				}
			}
		}
	}
	for id, yes := range counts {
		if yes && !all {
			on = append(on, id)
		} else {
			off = append(off, id)
		}
	}
	slices.Sort(on)
	slices.Sort(off)
	return on, off
}

// dnf is the package manager that would send it: dnf5, dnf, or empty.
func (h *Host) dnf() string {
	for _, name := range []string{"dnf5", "dnf"} {
		if path, err := h.cfg.Tools.Path(name); err == nil {
			return path
		}
	}
	return ""
}

// countingPlan switches what is not as asked for.
func (h *Host) countingPlan(ctx context.Context, r Request) (*Plan, error) {
	if r.Target != "off" && r.Target != "on" {
		return nil, fail.New(fail.Usage, "counting: neither off nor on")
	}
	all, err := h.Counters(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{NeedsRoot: true, Reversible: true}
	for _, c := range all {
		if c.State == CountsAbsent || c.State == r.Target {
			continue
		}
		steps, err := h.countingSteps(c, r.Target)
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, steps...)
	}
	if len(p.Steps) == 0 {
		p.Unchanged = "nothing that counts this host is " + map[string]string{"off": "on", "on": "switched off"}[r.Target]
	}
	return p.Finish(h.be.Kind(), r), nil
}

func (h *Host) countingSteps(c Counter, to string) ([]Step, error) {
	if c.unit == "" {
		return h.dnfSteps(to), nil
	}
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if err != nil {
		return nil, err
	}
	if to == "off" {
		return []Step{{
			Argv: []string{systemctl, "mask", "--now", c.unit}, Effect: c.Name + " sends nothing any more", Explain: h.explainSystemctl,
		}}, nil
	}
	return []Step{
		{Argv: []string{systemctl, "unmask", c.unit}, Effect: c.Name + " may be started", Explain: h.explainSystemctl},
		{Argv: []string{systemctl, "enable", "--now", c.unit}, Effect: c.Name + " sends again", Explain: h.explainSystemctl},
	}, nil
}

// dnfSteps have dnf change its own settings: dnf5 in a file of overrides, dnf 4 (with its
// plugin config-manager) in those of the repositories that count, or did.
func (h *Host) dnfSteps(to string) []Step {
	dnf := h.dnf()
	on, off := h.repositories()
	argv, effect, value, of := []string{dnf, "config-manager"}, "dnf counts no more", "0", on
	if to == "on" {
		effect, value, of = "dnf counts again", "1", off
	}
	switch five := strings.HasSuffix(dnf, "dnf5"); {
	case five && to == "on":
		argv = append(argv, "unsetopt", "*.countme")
	case five:
		argv = append(argv, "setopt", "*.countme=0")
	default:
		argv = append(argv, "--save")
		for _, id := range of {
			argv = append(argv, "--setopt="+id+".countme="+value)
		}
	}
	return []Step{{Argv: argv, Effect: effect, Explain: func(te *ToolError) error {
		if te.Code == 0 {
			return nil
		}
		return fail.Wrap(ErrBackend, te, "dnf did not change its settings").
			Hint("dnf needs its plugin config-manager for that; or write countme=%s into the files of /etc/yum.repos.d", value)
	}}}
}

// counted looks again: the tools' codes alone decide nothing.
func (h *Host) counted(ctx context.Context, r Request) error {
	all, err := h.Counters(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.State != CountsAbsent && c.State != r.Target {
			return fail.New(ErrUnverified, "counting: %s is still %s", c.Name, c.State).Hint("see why with --verbose")
		}
	}
	return nil
}
