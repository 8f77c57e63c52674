package osupdate

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// PinnedAlready says that d needs no pinning or unpinning.
func PinnedAlready(d *Deployment) string {
	if d.Pinned {
		return d.Name() + " is pinned already"
	}
	return d.Name() + " is not pinned"
}

// OSTreePin is the step that pins a deployment of the running OSTree host; the
// updaters built on ostree have no verb of their own.
func OSTreePin(t *Tools, d *Deployment, pin bool) (Step, error) {
	ostree, err := t.Path("ostree")
	if err != nil {
		return Step{}, err
	}
	s := Step{Argv: []string{ostree, "admin", "pin"}, Effect: "keep " + d.Name() + " until it is unpinned"}
	if !pin {
		s.Argv, s.Effect = append(s.Argv, "-u"), "let "+d.Name()+" go when newer ones come"
	}
	s.Argv = append(s.Argv, strconv.Itoa(d.Index))
	return s, nil
}

// OSTreeEtcDiff lists what differs from the booted deployment's defaults.
func OSTreeEtcDiff(ctx context.Context, t *Tools) ([]string, error) {
	ostree, err := t.Path("ostree")
	if err != nil {
		return nil, err
	}
	out, _, err := t.Run(ctx, Call{Argv: []string{ostree, "admin", "config-diff"}})
	if err != nil {
		return nil, err
	}
	return ParseEtcDiff(string(out)), nil
}

// ParseEtcDiff reads `ostree admin config-diff`: "M    app.conf".
func ParseEtcDiff(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		kind, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && len(kind) == 1 && strings.Contains("MAD", kind) {
			list = append(list, kind+" "+strings.TrimSpace(path))
		}
	}
	slices.Sort(list)
	return list
}
