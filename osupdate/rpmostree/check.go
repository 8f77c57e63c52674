package rpmostree

import (
	"context"
	"errors"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Check asks the source itself. Layered packages have updates of their own: root
// has rpm-ostree look for them, and another user is shown what rpm-ostree found when
// it looked last, because it would ask for a password.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	head := s.Head()
	if head == nil {
		return nil, noDeployment()
	}
	if d := s.Downloaded(); d != nil && d.Tracks != head.Tracks { // a switch that is locked: an upgrade follows it
		head = d
	}
	source := osupdate.ParseSource(head.Tracks)
	if err := source.NoNews(s.Custom); err != nil {
		return nil, err
	}
	layered := head.Changes.Any()
	if layered && b.superuser {
		return b.ownCheck(ctx)
	}
	u, err := b.base(ctx, head, source)
	if err != nil && b.superuser && (errors.Is(err, osupdate.ErrNetwork) || errors.Is(err, osupdate.ErrPermission)) {
		return b.ownCheck(ctx) // it knows the mirrors, logins and certificates of the host
	}
	if err != nil {
		return nil, err
	}
	_, c, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	if u == nil || u.Checksum == "" || holds(head, u.Checksum) {
		if layered && c != nil && c.Diff.any() && !c.there(s) {
			return c.update("what rpm-ostree found at " + c.when()), nil
		}
		return nil, nil
	}
	for i := range s.Deployments {
		if d := &s.Deployments[i]; holds(d, u.Checksum) {
			u.Version, u.Time = d.Version, d.Time
		}
	}
	switch {
	case c == nil:
	case c.Checksum == u.Checksum,
		u.Version == "" && head.Image != nil && c.Origin == head.Tracks && c.Version != "" && c.Version != head.Version:
		c.fill(u)
	}
	return u, nil
}

// base looks for news of what the host follows, without its layers.
func (b *Backend) base(ctx context.Context, head *osupdate.Deployment, source osupdate.Source) (*osupdate.Update, error) {
	u := &osupdate.Update{}
	var err error
	switch {
	case head.Image != nil && source.Class == osupdate.SourceImage && b.registry != nil:
		u.Source = "the registry"
		u.Checksum, err = b.registry(ctx, head.Image.Reference, head.Image.Digest)
	case head.Image == nil && b.newest != nil:
		return b.newest(ctx, head.Tracks)
	default:
		return b.ownCheck(ctx)
	}
	return u, err
}

// holds says whether d is the commit or image of that checksum, layers aside.
func holds(d *osupdate.Deployment, checksum string) bool {
	if d.Image != nil {
		return d.Image.Digest == checksum
	}
	return d.Checksum == checksum || d.Base == checksum
}

// NotChecked: layers are looked at as root only.
func (b *Backend) NotChecked(s *osupdate.State) []string {
	if head := s.Head(); head != nil && head.Changes.Any() && !b.superuser {
		return []string{"updates of layered and replaced packages (sudo tbx host check)"}
	}
	return nil
}

// ownCheck believes rpm-ostree's own check, which fetches metadata and stages nothing.
func (b *Backend) ownCheck(ctx context.Context) (*osupdate.Update, error) {
	argv := []string{b.rpmostree, "upgrade", "--check"}
	_, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	var te *osupdate.ToolError
	if errors.As(err, &te) && te.Code == ostreefamily.Unchanged {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, c, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return &osupdate.Update{Source: "rpm-ostree upgrade --check"}, nil
	}
	return c.update("rpm-ostree upgrade --check"), nil
}

func noDeployment() error {
	return fail.New(osupdate.ErrNotFound, "rpm-ostree shows no deployment").Hint("see tbx host doctor")
}

// update is what rpm-ostree has found, as an update.
func (c *cached) update(source string) *osupdate.Update {
	u := &osupdate.Update{Source: source}
	c.fill(u)
	if c.Diff.any() {
		u.Packages = c.Diff.packages()
	}
	if c.New != nil && !*c.New { // the base is the same: only layers change
		u.Version, u.Checksum, u.Time = "", "", nil
	}
	return u
}

// there says whether the update is one of the host's systems already.
func (c *cached) there(s *osupdate.State) bool {
	for i := range s.Deployments {
		if d := &s.Deployments[i]; c.Deployment != "" && d.ID == c.Deployment {
			return true
		}
	}
	return false
}

func (c *cached) when() string {
	if c.Timestamp == 0 {
		return "its last check"
	}
	return "its last check; the metadata is of " + time.Unix(c.Timestamp, 0).UTC().Format("2006-01-02")
}

func (c *cached) fill(u *osupdate.Update) {
	u.Version = firstOf(u.Version, c.Version)
	if u.Checksum == "" {
		u.Checksum = c.Checksum
	}
	if c.Timestamp > 0 && u.Time == nil {
		t := time.Unix(c.Timestamp, 0).UTC()
		u.Time = &t
	}
	u.Severity, u.Advisories = c.severity()
	if c.Manifest != nil {
		u.Bytes = c.Manifest.Added
	}
}
