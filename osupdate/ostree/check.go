package ostree

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
)

// Check pulls only the commit's metadata, with the host's own remotes and keys,
// into a repository of the caller's below which the host's lies as parent: no
// root, nothing of the host is written, and signatures are verified.
func (b *Backend) Check(ctx context.Context, s *osupdate.State) (*osupdate.Update, error) {
	cur, remote, ref, err := b.tracked(s)
	if err != nil {
		return nil, err
	}
	commit, repo, err := b.newest(ctx, remote, ref, 0)
	if err != nil {
		return nil, err
	}
	if next := s.Next(); commit == cur.Checksum || next != nil && commit == next.Checksum {
		return nil, nil
	}
	u := &osupdate.Update{Checksum: commit, Source: "metadata of " + remote + ":" + ref}
	if remote == "" {
		u.Source = "the local ref " + ref
	}
	for _, d := range s.Deployments {
		if d.Checksum == commit {
			u.Version, u.Time = d.Version, d.Time
		}
	}
	for _, r := range []string{b.repo(), repo} {
		c := ostreefamily.ReadCommit(r, commit)
		if u.Version == "" {
			u.Version, u.Time = c.Version, c.Time
		}
		if u.EndOfLife == "" {
			u.EndOfLife, u.Successor = c.EndOfLife, c.Successor
		}
	}
	return u, nil
}

// tracked is what an upgrade follows.
func (b *Backend) tracked(s *osupdate.State) (cur *osupdate.Deployment, remote, ref string, err error) {
	if cur = s.Current(); cur == nil {
		return nil, "", "", fail.New(osupdate.ErrNotFound, "%s has no deployment", b.sysroot).Hint("deploy one first: ostree admin deploy")
	}
	source := osupdate.ParseSource(s.Tracked)
	if source.Class == osupdate.SourceNone || source.Class == osupdate.SourceCommit {
		return nil, "", "", source.NoNews(s.Custom)
	}
	if source.Class != osupdate.SourceRef {
		return nil, "", "", fail.New(osupdate.ErrUnsupported, "the host follows the image %s, and plain ostree cannot take images", source.Name).
			Hint("choose a ref to follow: tbx host switch REMOTE:REF")
	}
	return cur, source.Remote, source.Name, nil
}

// newest returns the remote ref's commit and the repository that knows it. depth
// -1 also gets the history.
func (b *Backend) newest(ctx context.Context, remote, ref string, depth int) (commit, repo string, err error) {
	if remote == "" {
		out, err := b.run(ctx, b.ostree, "--repo="+b.repo(), "rev-parse", ref)
		return strings.TrimSpace(out), b.repo(), err
	}
	repo = filepath.Join(b.cache, "check-repo")
	if err := os.MkdirAll(repo, 0o700); err != nil {
		return "", "", fail.Wrap(osupdate.ErrPermission, err, "check")
	}
	if _, err := b.run(ctx, b.ostree, "--repo="+repo, "init", "--mode=archive"); err != nil {
		return "", "", err
	}
	if _, err := b.run(ctx, b.ostree, "--repo="+repo, "config", "set", "core.parent", b.repo()); err != nil {
		return "", "", err
	}
	if _, err := b.run(ctx, b.ostree, "--repo="+repo, "pull", "--commit-metadata-only", "--depth="+strconv.Itoa(depth), remote,
		ref); err != nil {
		return "", "", err
	}
	out, err := b.run(ctx, b.ostree, "--repo="+repo, "rev-parse", remote+":"+ref)
	return strings.TrimSpace(out), repo, err
}

// Newest returns the commit that a refspec names at its remote now, with what its
// metadata says; rpm-ostree's backend asks it too.
func (b *Backend) Newest(ctx context.Context, refspec string) (*osupdate.Update, error) {
	remote, ref, ok := strings.Cut(refspec, ":")
	if !ok {
		remote, ref = "", refspec
	}
	commit, repo, err := b.newest(ctx, remote, ref, 0)
	if err != nil {
		return nil, err
	}
	c := ostreefamily.ReadCommit(repo, commit)
	return &osupdate.Update{
		Checksum: commit, Version: c.Version, Time: c.Time, EndOfLife: c.EndOfLife, Successor: c.Successor, Source: "the OSTree remote",
	}, nil
}

// commitOf finds the commit of a version (or of the start of a checksum) in the
// history of what the host follows.
func (b *Backend) commitOf(ctx context.Context, s *osupdate.State, version string) (string, error) {
	if checksumForm().MatchString(version) {
		return version, nil
	}
	_, remote, ref, err := b.tracked(s)
	if err != nil {
		return "", err
	}
	commit, repo, err := b.newest(ctx, remote, ref, -1)
	if err != nil {
		return "", err
	}
	log, err := b.run(ctx, b.ostree, "--repo="+repo, "log", commit)
	if err != nil {
		return "", err
	}
	if c := findVersion(log, version); c != "" {
		return c, nil
	}
	return "", fail.New(osupdate.ErrNotFound, "version %q is not in the history of %s", version, ref).
		Hint("see the versions with: ostree --repo=%s log %s", repo, commit)
}

// findVersion reads `ostree log`: "commit CHECKSUM" lines, each followed by
// "Version: V" where the commit has one.
func findVersion(log, version string) string {
	commit := ""
	sc := bufio.NewScanner(strings.NewReader(log))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		if c, ok := strings.CutPrefix(line, "commit "); ok {
			commit = strings.TrimSpace(c)
			if len(version) >= 8 && strings.HasPrefix(commit, version) {
				return commit
			}
		}
		if v, ok := strings.CutPrefix(line, "Version: "); ok && strings.TrimSpace(v) == version && checksumForm().MatchString(commit) {
			return commit
		}
	}
	return ""
}
