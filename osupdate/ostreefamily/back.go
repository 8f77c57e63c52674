package ostreefamily

import (
	"context"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/osupdate"
)

// HasSetDefault says whether this ostree can make any deployment the default one,
// which 2023.6 and newer can.
func HasSetDefault(ctx context.Context, t *osupdate.Tools) (bool, error) {
	argv, err := Admin(t, "--help")
	if err != nil {
		return false, err
	}
	out, _, err := t.Run(ctx, osupdate.Call{Argv: argv})
	return strings.Contains(string(out), "set-default"), err
}

// SetDefault adds the steps that make d boot next by `ostree admin set-default`,
// which keeps every system. A staged one would boot before it and is dropped first;
// false where this ostree has no such command.
func SetDefault(ctx context.Context, t *osupdate.Tools, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) (bool, error) {
	if can, err := HasSetDefault(ctx, t); !can || err != nil {
		return false, err
	}
	index, err := DropStaged(t, s, d, p)
	if err != nil {
		return false, err
	}
	if index == 0 {
		return true, nil // it is the default one, once nothing is staged
	}
	argv, err := Admin(t, "set-default")
	p.NeedsRoot = true
	p.Steps = append(p.Steps, osupdate.Step{Argv: append(argv, strconv.Itoa(index)),
		Effect: "make " + s.Label(d) + " boot next, with its own /etc"})
	return true, err
}

// DropStaged adds the step that drops what is staged and nothing else, and returns
// the index that d has afterwards. `rpm-ostree cleanup -p` would also delete a system
// that a rollback made the next one.
func DropStaged(t *osupdate.Tools, s *osupdate.State, d *osupdate.Deployment, p *osupdate.Plan) (int, error) {
	index := d.Index
	for i := range s.Deployments {
		staged := &s.Deployments[i]
		if !staged.Staged {
			continue
		}
		argv, err := Admin(t, "undeploy")
		if err != nil {
			return 0, err
		}
		p.NeedsRoot = true
		p.Steps = append(p.Steps, osupdate.Step{Argv: append(argv, strconv.Itoa(staged.Index)), Effect: "drop the staged " + s.Label(staged)})
		if d.Index > staged.Index {
			index--
		}
	}
	return index, nil
}

// Behind are the systems that wait before the running one and are not staged: a
// rollback made them the next ones, or the boot menu passed them over. To delete
// them would be for good.
func Behind(s *osupdate.State) []*osupdate.Deployment {
	booted := s.Booted()
	if booted == nil {
		return nil
	}
	var out []*osupdate.Deployment
	for i := range s.Deployments {
		if d := &s.Deployments[i]; d.Index < booted.Index && !d.Staged && d.Stateroot == booted.Stateroot {
			out = append(out, d)
		}
	}
	return out
}

// Rollback plans that the system which r asks to go back to boots next, by makeNext, or
// that nothing changes where it does already.
func Rollback(s *osupdate.State, r osupdate.Request, p *osupdate.Plan, makeNext func(*osupdate.Deployment) error) error {
	d, err := s.Back(r.Target)
	if err != nil {
		return err
	}
	if d.Next {
		p.Unchanged = d.Name() + " boots next already"
		return nil
	}
	return makeNext(d)
}
