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

// A runtime follows links inside the toolbox when it mounts, and makes missing
// directories where they lead: in mounted directories, so on the host. A check after the
// start is too late for that.

// checkWay refuses to start an isolated toolbox if a link in its home is on the way to a
// mount point. Nothing runs in it, so nobody can put one there meanwhile. The check after
// the start covers an image's own links, and starts by podman. c is podman's data about
// it.
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
		// The directory belongs to podman's root, and is closed to the user.
		cmd := hostprog.Podman(ctx, append([]string{"unshare", m.BoxFile, "way", v.Source}, below...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			m.debug("the home of toolbox %s cannot be looked into: %v: %s", b.Name, err, escape.Text(errs.String()))
			continue // the check after the start covers it
		}
		if err := b.obstacle(v, &out); err != nil {
			return err
		}
	}
	return nil
}

// obstacle turns the first line of the finding in the home v into an error.
func (b *Box) obstacle(v Mapping, found io.Reader) error {
	var o helper.Obstacle
	if err := json.NewDecoder(found).Decode(&o); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	return fail.New(nil, "toolbox %s cannot be started: in its home, on the way to %s, %s is %s", b.Name,
		filepath.Join(v.Target, o.Path), filepath.Join(v.Target, o.At), o.Is).
		Hint("something in the toolbox made that; look at it with: podman unshare ls -ld %s", filepath.Join(v.Source, o.At)).
		Hint("rename it, or make another toolbox: the files shared with this one stay on the host")
}

// clearStrays removes directories that a runtime made in the directory of tbx-box: they
// are empty and belong to a toolbox's root.
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
	// The user cannot remove the contents of these, but podman's root can.
	if out, err := hostprog.Podman(context.WithoutCancel(ctx), "unshare", m.BoxFile, "strays", dir).CombinedOutput(); err != nil {
		m.debug("%s cannot be tidied up: %v: %s", dir, err, escape.Text(string(out)))
	}
}
