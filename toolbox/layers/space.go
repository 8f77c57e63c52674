package layers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/helper"
)

// ErrMounted means that a layer is mounted.
var ErrMounted = errors.New("it is mounted, by a running container or by podman mount")

// Space is podman's user and mount namespace, the place for work on layers.
type Space struct {
	Runtime string // the user's runtime directory, where podman records its pause process
	Helper  string // the program tbx-box
}

// Seen is Look's finding about a layer.
type Seen struct {
	Missing bool // there is no such directory
	Marked  bool
	Inode   uint64 // of the directory, which moves along when layers are exchanged
	Mounted bool   // a running container or podman mount uses it
	Empty   bool   // there is not one name in it
}

// Look looks at layers, in their order.
func (s Space) Look(ctx context.Context, of ...*Layer) ([]Seen, error) {
	answer, err := s.Do(ctx, helper.LayerOrder{Verb: helper.LayerLook, Dirs: uppers(of)})
	if err != nil {
		return nil, err
	}
	if len(answer.Seen) != len(of) {
		return nil, fmt.Errorf("tbx-box looked at %d layers of %d", len(answer.Seen), len(of))
	}
	out := make([]Seen, len(of))
	for i, l := range answer.Seen {
		out[i] = Seen{l.Missing, l.Marked, l.Inode, l.Mounted, l.Empty}
	}
	return out, nil
}

// unmounted is how long Exchange waits for a container that has just ended: its monitor
// makes podman unmount it, if podman itself did not.
const unmounted = 10 * time.Second

// Exchange exchanges the layers of a and b, which must Fit. With mark, b's layer has none
// of the user's files and gets the mark first. along are directories that belong to a's
// layer, each with its path beside b's. After an error nothing was exchanged, unless the
// error concerns the directories moved along: see Move.
func (s Space) Exchange(ctx context.Context, a, b *Layer, mark bool, along ...[2]string) error {
	if err := Fit(a, b); err != nil {
		return err
	}
	const poll = 10 * time.Millisecond
	for end := time.Now().Add(unmounted); ; time.Sleep(poll) {
		_, err := s.Do(context.WithoutCancel(ctx), helper.LayerOrder{Verb: helper.LayerExchange, Dirs: uppers([]*Layer{a, b}), Mark: mark,
			Along: along})
		if !errors.Is(err, ErrMounted) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// Move moves directories that belong to an exchanged layer and were not moved with it. It
// is no error if one was moved.
func (s Space) Move(ctx context.Context, along ...[2]string) error {
	_, err := s.Do(context.WithoutCancel(ctx), helper.LayerOrder{Verb: helper.LayerMove, Along: along})
	return err
}

// Do makes tbx-box carry out one order, and turns an obstacle into an error.
func (s Space) Do(ctx context.Context, order helper.LayerOrder) (*helper.LayerAnswer, error) {
	in, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	cmd := s.command(ctx, s.Helper, "layers")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, spaceError(err, errs.String())
	}
	answer := &helper.LayerAnswer{}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return nil, fmt.Errorf("tbx-box answered %s: %w", escape.Quote(out.String()), err)
	}
	return answer, obstacle(answer)
}

// Run runs a role of tbx-box that reads the layer of a container, and returns its output.
func (s Space) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := s.command(ctx, append([]string{s.Helper}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, spaceError(err, errs.String())
	}
	return out.Bytes(), nil
}

func spaceError(err error, said string) error {
	return fail.Wrap(fail.Unable, err, "podman's user namespace cannot be entered: %s", escape.Text(strings.TrimSpace(said))).
		Hint("see whether this works: podman unshare true")
}

// obstacle returns why an order was not carried out.
func obstacle(a *helper.LayerAnswer) error {
	switch a.Obstacle {
	case "":
		return nil
	case helper.LayerMounted:
		return fail.Wrap(nil, ErrMounted, "the layer %s cannot be exchanged", a.Dir).
			Hint("see what has it mounted with: podman mount").Hint("unmount it with: podman umount CONTAINER")
	case helper.LayerElsewhere:
		return fail.New(fail.Unable, "the layer %s is in a file system or project of its own, so it cannot be exchanged with another", a.Dir).
			Hint("podman's storage must be one file system, without a subvolume or a quota for each container")
	case helper.LayerNoMark:
		return fail.New(fail.Unable, "the file system of %s keeps no extended attributes (%s), which are necessary to repair an "+
			"interrupted exchange", a.Dir, a.Text).
			Hint("podman's storage must be on a file system such as ext4, xfs or btrfs")
	}
	err := fail.New(nil, "the layer %s cannot be worked on: %s", a.Dir, a.Text)
	if strings.Contains(a.Text, "no space left") {
		err.Hint("make room: see df -h and podman system df")
	}
	return err
}

func uppers(of []*Layer) []string {
	out := make([]string, len(of))
	for i, l := range of {
		out[i] = l.Upper
	}
	return out
}

// command returns a call in podman's user and mount namespace: by nsenter if podman's
// pause process keeps them, which takes 5 ms, else by podman unshare, which makes one, in
// 100.
func (s Space) command(ctx context.Context, args ...string) *exec.Cmd {
	data, err := os.ReadFile(filepath.Join(s.Runtime, "libpod/tmp/pause.pid"))
	pid, perr := strconv.Atoi(strings.TrimSpace(string(data)))
	nsenter, lerr := hostprog.Look("nsenter")
	if err != nil || perr != nil || lerr != nil || !keepsSpace(pid) {
		return hostprog.Podman(ctx, append([]string{"unshare"}, args...)...)
	}
	cmd := exec.CommandContext(ctx, nsenter, append([]string{"--user", "--mount", "--target", strconv.Itoa(pid), "--"}, args...)...)
	cmd.Env, cmd.Dir = hostprog.PodmanEnv(os.Environ()), "/"
	return cmd
}

// keepsSpace reports whether a process is podman's pause process, by its name: podman
// itself or catatonit.
func keepsSpace(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(comm))
	return err == nil && (name == "podman pause" || name == "catatonit")
}
