package pkg

import (
	"context"
	"errors"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// keepFirst makes a snapshot of the toolbox before its packages change, and stores its
// name in made.
func (t *target) keepFirst(made *string, said func(string)) {
	t.Before = func(ctx context.Context) error {
		said("keeping a snapshot")
		p, err := t.env.Provisioner()
		if err != nil {
			return err
		}
		s, err := p.Snapshot(ctx, t.name, "before tbx upgrade")
		if s != nil {
			*made = s.Name
		}
		if err != nil {
			return fail.Wrap(nil, err, "its packages were not upgraded").Hint("upgrade without a snapshot: tbx upgrade --no-snapshot %s", t.name)
		}
		return nil
	}
}

// takeBack rolls back a toolbox that an upgrade left broken, and says so in the error. A
// toolbox that others use is left as it is.
func (t *target) takeBack(ctx context.Context, snapshot string, upgradeErr error) (bool, error) {
	if snapshot == "" || !errors.Is(upgradeErr, packages.ErrBroken) {
		return false, upgradeErr
	}
	m, err := t.env.Manager()
	if err == nil {
		_, err = m.Rollback(context.WithoutCancel(ctx), t.name, snapshot, false)
	}
	if err != nil {
		kept := fail.Wrap(nil, err, "its contents before the upgrade are kept").
			Hint("return to them with: tbx snapshot rollback --force %s %s", t.name, snapshot)
		return false, errors.Join(upgradeErr, kept)
	}
	const back = "the upgrade left it broken, so it was rolled back to the contents before: %s"
	return true, fail.New(packages.ErrBroken, back, firstOf(upgradeErr)).
		Hint("the broken state is kept; look at it after: tbx snapshot rollback %s %s", t.name, toolbox.BeforeRollback)
}

// firstOf returns the first of joined errors.
func firstOf(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) && len(joined.Unwrap()) > 0 {
		return joined.Unwrap()[0]
	}
	return err
}
