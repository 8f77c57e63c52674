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

// secure proves from outside, before tbx runs anything in it, that an isolated
// toolbox is what it was made as, whoever started it: what it is mounted, at which
// places, and that its first process is tbx's. One of which that is not true is
// stopped, and the error says what was found.
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
	said := fail.Wrap(nil, err, "toolbox %s is stopped, it is not what it was made as", b.Name)
	if where := b.inHome(err); where != "" {
		said.Hint("see who made the link, with: podman unshare ls -ld %s", where)
	}
	if stopErr := m.stop(ctx, e, b, 0); stopErr != nil {
		return errors.Join(stopErr, said)
	}
	return said.Hint("what is in it or in its image did this, or somebody moved what it shares; look at it before you start it again")
}

// inHome is where on the host the way to a mount that went elsewhere begins.
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
			return fmt.Errorf("what is mounted in it cannot be given the options that it must have: %w", err)
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

// wantedMounts are what podman was asked to mount. What the user shares must be
// there by its very path, without a link; of other directories, such as tbx's own,
// the user may have moved what leads to them.
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
			return nil, fmt.Errorf("%s, which the toolbox shares, is another directory than when it was made: %s", source, now)
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

// setOptions has options of mounts set that the runtime left out: crun 1.8 forgets
// nosuid and nodev where the user namespace is not its own, and what the host has
// mounted below a directory that is shared to read is not to read with any.
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

// proveFirst looks at what runs as the first process: the program that tbx put
// there, by its content. podman may return before the runtime has become it.
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
