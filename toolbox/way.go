package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/join"
	"github.com/tbx-project/tbx/toolbox/stage"
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
	var o stage.Obstacle
	if err := json.NewDecoder(found).Decode(&o); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	return fail.New(nil, "toolbox %s cannot be started: in its home, on the way to %s, %s is %s", b.Name,
		filepath.Join(v.Target, o.Path), filepath.Join(v.Target, o.At), o.Is).
		Hint("what is in it made that; look at it with: podman unshare ls -ld %s", filepath.Join(v.Source, o.At)).
		Hint("remove or rename that, or remove the toolbox with: tbx rm %s", b.Name)
}

// clearStrays removes what a runtime has made in the directory of tbx-box: empty
// directories that belong to a toolbox's root, at most as deep as a version's.
func clearStrays(dir string) {
	own := os.Getuid()
	for _, pattern := range []string{"*/*/*", "*/*", "*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range found {
			fi, err := os.Lstat(path)
			if err != nil || !fi.IsDir() {
				continue
			}
			if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != own {
				_ = unix.Rmdir(path) // one that is not empty stays
			}
		}
	}
}
