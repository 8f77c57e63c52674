package toolbox

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/join"
)

// Another maker's program sets its toolbox up, at every start. tbx waits for it, changes
// nothing, and enters by podman exec.

// awaitForeign waits until that program has set up the running toolbox.
func (m *Manager) awaitForeign(ctx context.Context, e Engine, b *Box) error {
	const poll = 250 * time.Millisecond
	begin, told := time.Now(), false
	for ; ; time.Sleep(poll) {
		done, err := m.foreignReady(ctx, e, b)
		if done || err != nil {
			return err
		}
		c, err := e.Inspect(ctx, b.ID)
		if err != nil {
			return err
		}
		if now := (&Box{Name: b.Name, Container: *c}); !now.runs() {
			if c.ExitCode == 0 {
				return nil // it was stopped; the entry will report that
			}
			return endedError(ctx, e, now, c.ExitCode)
		}
		if !told {
			m.stage("waiting until %s has set up toolbox %s; its first start may install packages", b.Maker(), b.Name)
			told = true
		}
		if b.Maker() == Toolbx && time.Since(begin) > toolbxAtMost {
			m.Progress.Warn("Toolbx has not reported that toolbox "+string(b.Name)+" is set up",
				"see its messages with: podman logs "+string(b.Name))
			return nil
		}
	}
}

// toolbxAtMost is the time that Toolbx itself waits for its toolbox.
const toolbxAtMost = 25 * time.Second

// foreignReady reports whether a toolbox is set up: Toolbx leaves a file, distrobox a
// line in the log.
func (m *Manager) foreignReady(ctx context.Context, e Engine, b *Box) (bool, error) {
	if b.Maker() == Toolbx {
		_, err := os.Stat(filepath.Join(m.Host.RuntimeDir, "toolbox", "container-initialized-"+strconv.Itoa(b.PID)))
		return err == nil || !m.Host.HasRuntime, nil
	}
	done, err := e.Said(ctx, b.ID, b.Started.Add(-time.Second), "container_setup_done")
	if err != nil && ctx.Err() == nil {
		m.debug("the messages of distrobox in toolbox %s cannot be read: %v", b.Name, err) // by a driver that keeps nothing
		return true, nil
	}
	return done, ctx.Err()
}

// foreignRecord returns the record of a toolbox that tbx did not make.
func (m *Manager) foreignRecord(ctx context.Context, e Engine, b *Box) *join.Record {
	r := &join.Record{Name: string(b.Name), ID: b.ID, Bridge: b.ID, PID: b.PID, Env: b.Env, Home: m.Host.Home, HostFiles: true}
	r.Shell = m.foreignShell(ctx, e, b)
	if args := distroboxArgs(b.Command); args != nil && b.Maker() != Toolbx {
		r.Home = args["home"]
	}
	for _, mt := range b.Mounts {
		r.Mounts = append(r.Mounts, join.Mapping{Host: mt.Source, Box: mt.Target})
	}
	r.Mounts = slices.DeleteFunc(r.Mounts, func(mt join.Mapping) bool { return mt.Host == "/" })
	return r
}

// foreignShell returns a shell of the toolbox, the host user's if it is there.
func (m *Manager) foreignShell(ctx context.Context, e Engine, b *Box) string {
	for _, shell := range append(shellPlaces(m.Host.Shell), "/bin/bash", "/usr/bin/bash", "/bin/sh") {
		if st, err := e.Stat(ctx, b.ID, shell); err == nil && st.Mode.Perm()&0o111 != 0 {
			return shell
		}
	}
	return "/bin/sh"
}

// refuseForeign refuses an operation on a toolbox of distrobox or apx that needs more
// than podman knows: these keep lists of exported programs.
func refuseForeign(b *Box, what string) *fail.Error {
	if k := b.Maker(); k != Distrobox && k != Apx {
		return nil
	}
	return foreignError(b, what)
}

// Removable reports whether tbx removes toolboxes of b's maker.
func (b *Box) Removable() bool { return refuseForeign(b, "") == nil }

// refuseRemoval is refuseForeign for a removal.
func refuseRemoval(b *Box) error {
	if err := refuseForeign(b, "does not remove those"); err != nil {
		return err.Hint("or remove it with: %s", b.Maker().removal(b.Name))
	}
	return nil
}

// setAside reports whether a container is the emptied one that an adoption by move left,
// and its former name.
func setAside(c *Container) (name Name, ok bool) {
	name, kind, ok := apartOf(c.Name)
	return name, ok && kind == apartAdopted && !c.ours()
}

// subsystem is apx's name for the toolbox of a container.
func subsystem(name Name) string { return strings.TrimPrefix(string(name), "apx-") }

// adoptedName returns the name of a copy of b: as, or by default b's name with -tbx, and
// for apx the name that apx has for it.
func (m *Manager) adoptedName(b *Box, as Name) (Name, error) {
	if as != "" {
		return as, nil
	}
	if b.Maker() == Apx && subsystem(b.Name) != string(b.Name) {
		return ParseName(subsystem(b.Name))
	}
	n, err := ParseName(string(b.Name) + "-tbx")
	if err != nil {
		return "", fail.Wrap(fail.Usage, err, "the copy of toolbox %s needs a name", b.Name).Hint("give it one with: --name NAME")
	}
	return n, nil
}
