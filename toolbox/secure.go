package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
	"github.com/tbx-project/tbx/toolbox/helper"
	"github.com/tbx-project/tbx/toolbox/join"
)

// secure checks from outside, before tbx runs anything in it, that an isolated toolbox is
// as it was made, whoever started it: its mounts, at their places, and that its first
// process is tbx's. If not, it stops the toolbox, and the error describes the finding.
func (m *Manager) secure(ctx context.Context, e Engine, b *Box) error {
	if !b.Spec.Isolated {
		return nil
	}
	err := m.prove(ctx, b)
	if err == nil {
		return nil
	}
	if c, inspectErr := e.Inspect(ctx, b.ID); inspectErr == nil && c.PID == 0 && c.ExitCode == boxinit.ExitSwapped {
		return endedError(ctx, e, b, c.ExitCode)
	}
	said := fail.Wrap(nil, err, "toolbox %s was stopped, because it is not as it was made", b.Name)
	if where := b.inHome(err); where != "" {
		said.Hint("see who made the link, with: podman unshare ls -ld %s", where)
	}
	if stopErr := m.stop(ctx, e, b, 0); stopErr != nil {
		return errors.Join(stopErr, said)
	}
	return said.Hint("something in it or in its image did this, or somebody moved a shared directory; look at it before you start it again")
}

// inHome returns where on the host the path to a misplaced mount begins.
func (b *Box) inHome(err error) string {
	var gone *misplaced
	if !errors.As(err, &gone) {
		return ""
	}
	for _, v := range b.Volumes {
		if rest, ok := strings.CutPrefix(gone.target, v.Target+"/"); ok && v.Source != "" {
			first, _, _ := strings.Cut(rest, "/")
			return filepath.Join(v.Source, first)
		}
	}
	return ""
}

func (m *Manager) prove(ctx context.Context, b *Box) error {
	r, _ := m.newRecord(b) // what it cannot tell is not asked here
	t, err := r.OpenUnrecorded()
	if err != nil {
		return fmt.Errorf("its first process has ended: %w", err)
	}
	defer t.Close()
	want, err := wantedMounts(b)
	if err != nil {
		return err
	}
	own, mountinfo := enginesOwn(&b.Container, b.Spec.GPU), fmt.Sprintf("/proc/%d/mountinfo", b.PID)
	for settled := false; ; settled = true {
		lines, err := boxinit.ReadMounts(mountinfo)
		if err != nil {
			return err
		}
		lacks, err := judgeMounts(lines, want, own)
		if err != nil {
			return err
		}
		if len(lacks) == 0 {
			break
		}
		if settled {
			return fmt.Errorf("%s cannot be given the options that it must have", lacks[0].Point)
		}
		if err := m.setOptions(ctx, b.PID, lacks); err != nil {
			return fmt.Errorf("its mounts cannot be given their options: %w", err)
		}
	}
	if err := m.proveFirst(ctx, b); err != nil {
		return err
	}
	if !t.Alive() {
		return errors.New("its first process has ended")
	}
	return nil
}

// wantedMounts returns the mounts that podman was asked for. The user's shares must be at
// exactly their path, without a link; of other directories, such as tbx's own, the user
// may have moved the parents.
func wantedMounts(b *Box) ([]*wantedMount, error) {
	shared := b.Spec.sharedSources()
	var out []*wantedMount
	for _, mt := range b.Mounts {
		source := mt.Source
		if !slices.Contains(shared, source) {
			real, err := filepath.EvalSymlinks(source)
			if err != nil {
				return nil, err
			}
			source = real
		}
		at, err := placeOf(source)
		if errors.Is(err, unix.ELOOP) {
			now, _ := filepath.EvalSymlinks(source)
			return nil, fmt.Errorf("%s, which the toolbox shares, is no longer the same directory: %s", source, now)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, &wantedMount{target: mt.Target, source: source, at: &at, set: attributes(mt.Options),
			below: slices.Contains(mt.Options, "rbind")})
	}
	home := false
	for _, v := range b.Volumes {
		w := &wantedMount{target: v.Target, source: v.Source, set: attributes(v.Options)}
		if strings.Contains(v.Source, "/"+b.Spec.HomeVolume()+"/") || b.namelessHome(v) {
			home = true
			w.set |= unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
			if at, err := placeOf(v.Source); err == nil { // else podman keeps it where tbx cannot look
				w.at = &at
			}
		}
		out = append(out, w)
	}
	switch {
	case !mounted(b, boxinit.BoxDir):
		return nil, errors.New("tbx-box is not mounted into it")
	case !home:
		return nil, errors.New("it has no home of its own")
	}
	return out, nil
}

// setOptions sets mount options that the runtime left out: crun 1.8 forgets nosuid and
// nodev if the user namespace is not its own, and no runtime makes the host's mounts
// below a read-only share read-only.
func (m *Manager) setOptions(ctx context.Context, pid int, lacks []helper.MountOptions) error {
	nsenter, err := join.Nsenter()
	if err != nil {
		return err
	}
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return err
	}
	defer ns.Close()
	var in bytes.Buffer
	for _, l := range lacks {
		if err := json.NewEncoder(&in).Encode(l); err != nil {
			return err
		}
	}
	// Only the rights of its user namespace: the program is the host's, at its path on the host.
	cmd := exec.CommandContext(ctx, nsenter, "--user=/proc/"+strconv.Itoa(pid)+"/ns/user", "--", m.BoxFile, "settle")
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.ExtraFiles = rootEnv(), "/", &in, []*os.File{ns}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, escape.Text(strings.TrimSpace(string(out))))
	}
	return nil
}

// proveFirst checks the program of the first process by its content. podman may return
// before the runtime has become it.
func (m *Manager) proveFirst(ctx context.Context, b *Box) error {
	const patience, poll = 2 * time.Second, 5 * time.Millisecond
	installed, err := boxVersion(m.BoxFile)
	if err != nil {
		return err
	}
	exe := "/proc/" + strconv.Itoa(b.PID) + "/exe"
	for end := time.Now().Add(patience); ; time.Sleep(poll) {
		runs, err := boxVersion(exe)
		if err == nil && (runs == installed || sound(boxPath(b.boxDir(m.Host), runs), runs)) { // the latter: an earlier one
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			name, _ := os.Readlink(exe)
			return fmt.Errorf("its first process is not tbx's but another program, %s", escape.Quote(name))
		}
	}
}
