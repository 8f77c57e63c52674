package bootc

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

var (
	updateFound = pattern.Lazy(`(?m)^Update available for: \S+`)
	noChanges   = pattern.Lazy(`(?m)^No changes in: \S+`)
	newVersion  = pattern.Lazy(`(?m)^\s+Version: (\S+)`)
	newDigest   = pattern.Lazy(`(?m)^\s+Digest: (sha256:[0-9a-f]{64})`)
)

// Check has bootc look on its ostree storage, as root, whose credentials and mirrors
// it knows. Everybody else compares digests with the registry. So does root on
// composefs: there `bootc upgrade --check` stages an image that was pulled before.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	if s.Current() == nil || s.Current().Image == nil {
		return nil, fail.New(osupdate.ErrUnsupported, "the running system does not come from an image").Hint("choose one: tbx host switch IMAGE")
	}
	if err := osupdate.ParseSource(s.Tracked).NoNews(s.Custom); err != nil {
		return nil, err
	}
	var u *osupdate.Update
	var err error
	if b.opt.Root && !b.opt.Composefs {
		u, err = b.ownCheck(ctx)
	} else {
		u, err = b.compare(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	if d := s.Downloaded(); u == nil && d != nil && d.Image != nil { // upgrade would apply it
		return &osupdate.Update{Version: d.Version, Checksum: d.Image.Digest, Time: d.Time, Source: "downloaded already"}, nil
	}
	return u, nil
}

// ownCheck believes what bootc says now. cachedUpdate goes stale: it is that of the
// system which ran when it was found, and an image that is here does not renew it.
func (b *Backend) ownCheck(ctx context.Context) (*osupdate.Update, error) {
	argv := []string{b.bootc, "upgrade", "--check"}
	out, _, err := b.tools.Run(ctx, osupdate.Call{Argv: argv})
	if err != nil {
		return nil, err
	}
	text := string(out)
	switch {
	case updateFound().MatchString(text):
	case noChanges().MatchString(text):
		return nil, nil
	default:
		return nil, osupdate.BadOutput(argv, out, fmt.Errorf("it says neither that there is an update nor that there is none"))
	}
	u := &osupdate.Update{Source: "bootc upgrade --check"}
	if m := newVersion().FindStringSubmatch(text); m != nil {
		u.Version = m[1]
	}
	if m := newDigest().FindStringSubmatch(text); m != nil {
		u.Checksum = m[1]
	}
	a, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range a.cached { // the date, and the digest where an older bootc did not say it
		if u.Checksum == c.Digest || u.Checksum == "" && u.Version == c.Version {
			u.Version, u.Checksum, u.Time = c.Version, c.Digest, stamp(c.Timestamp)
		}
	}
	return u, nil
}

// compare asks the registry for the manifest that is followed.
func (b *Backend) compare(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	source := osupdate.ParseSource(s.Tracked)
	known := map[string]bool{}
	head := ""
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Image == nil || osupdate.ParseSource(d.Tracks).Name != source.Name {
			continue
		}
		if (d.Booted || d.Staged) && !d.Locked || b.opt.Composefs && !d.Locked { // on composefs bootc takes what is here for no news
			known[d.Image.Digest] = true
		}
		if head == "" && (d.Staged && !d.Locked || d.Booted) {
			head = d.Image.Digest
		}
	}
	if b.opt.Registry == nil {
		return nil, osupdate.Unsupported(osupdate.Bootc, osupdate.CheckVerb, "check with the updater itself")
	}
	digest, err := b.opt.Registry(ctx, source.Name, head)
	if err != nil {
		return nil, b.registryError(err)
	}
	if digest == "" || known[digest] {
		return nil, nil
	}
	u := &osupdate.Update{Checksum: digest, Source: "the registry"}
	for i := range s.Deployments {
		if d := &s.Deployments[i]; d.Image != nil && d.Image.Digest == digest {
			u.Version, u.Time = d.Version, d.Time
		}
	}
	return u, nil
}

// registryError adds the way that is left: root's bootc knows the mirrors, logins and
// certificates of the host, and tbx's own question does not.
func (b *Backend) registryError(err error) error {
	var e *fail.Error
	if !errors.As(err, &e) {
		return err
	}
	if b.opt.Root {
		return e.Hint("what bootc itself can reach shows: tbx host upgrade --download-only")
	}
	return e.Hint("bootc reads /etc/containers/registries.conf and root's logins: sudo tbx host check")
}
