package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/helper"
	"github.com/tbx-project/tbx/toolbox/join"
)

// A runtime follows links of the toolbox when it mounts, and makes the directories
// that are missing where they lead: in what is mounted already, so on the host. What
// is found after the start is too late for that.

// checkWay refuses to start an isolated toolbox in whose home a link is on the way to
// where something is mounted. Nothing runs in it, so nobody can put one there
// meanwhile. Of an image's own links, and of a start by podman, the proof after the
// start tells. c is what podman knows of it.
func (m *Manager) checkWay(ctx context.Context, b *Box, c *Container) error {
	for _, v := range c.Volumes {
		var below []string
		for _, mt := range c.Mounts {
			if rel, ok := strings.CutPrefix(mt.Target, v.Target+"/"); ok && join.Below(mt.Target, v.Target) {
				below = append(below, rel)
			}
		}
		if v.Target != m.Host.RealHome || v.Source == "" || len(below) == 0 {
			continue
		}
		// The directory is of podman's root, and closed to the user.
		cmd := hostprog.Podman(ctx, append([]string{"unshare", m.BoxFile, "way", v.Source}, below...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			m.debug("the home of toolbox %s cannot be looked into: %v: %s", b.Name, err, escape.Text(errs.String()))
			continue // it is proved after the start
		}
		if err := b.obstacle(v, &out); err != nil {
			return err
		}
	}
	return nil
}

// obstacle turns the first line of what was found in the home v into an error.
func (b *Box) obstacle(v Mapping, found io.Reader) error {
	var o helper.Obstacle
	if err := json.NewDecoder(found).Decode(&o); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	return fail.New(nil, "toolbox %s cannot be started: in its home, on the way to %s, %s is %s", b.Name,
		filepath.Join(v.Target, o.Path), filepath.Join(v.Target, o.At), o.Is).
		Hint("what is in it made that; look at it with: podman unshare ls -ld %s", filepath.Join(v.Source, o.At)).
		Hint("rename that, or make another toolbox: what is shared with this one stays on the host")
}

// clearStrays has removed what a runtime has made in the directory of tbx-box: empty
// directories that belong to a toolbox's root.
func (m *Manager) clearStrays(ctx context.Context, dir string) {
	entries, _ := os.ReadDir(dir)
	versions, _ := filepath.Glob(filepath.Join(dir, "*/*"))
	for _, e := range entries {
		versions = append(versions, filepath.Join(dir, e.Name()))
	}
	own := os.Getuid()
	if !slices.ContainsFunc(versions, func(path string) bool {
		fi, err := os.Lstat(path)
		if err != nil || !fi.IsDir() {
			return false
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		return ok && int(st.Uid) != own
	}) {
		return
	}
	// What is in one of these the user cannot remove, but podman's root can.
	if out, err := hostprog.Podman(context.WithoutCancel(ctx), "unshare", m.BoxFile, "strays", dir).CombinedOutput(); err != nil {
		m.debug("%s cannot be tidied up: %v: %s", dir, err, escape.Text(string(out)))
	}
}
