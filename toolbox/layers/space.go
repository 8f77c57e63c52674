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

// ErrMounted says that a layer is mounted.
var ErrMounted = errors.New("it is mounted, by a container that runs or by podman mount")

// Space is podman's user and mount namespace, in which layers can be worked on.
type Space struct {
	Runtime string // the user's runtime directory, where podman notes its pause process
	Helper  string // the program tbx-box
}

// Seen is what Look finds of a layer.
type Seen struct {
	Missing bool // there is no such directory
	Marked  bool
	Inode   uint64 // of the directory, which goes along when layers are exchanged
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
// has podman unmount it where podman itself did not.
const unmounted = 10 * time.Second

// Exchange exchanges the layers of a and b, which must Fit. With mark, b's is one that
// has nothing of the user's and gets the mark before. along are directories that go with
// a's layer, each with the path that it gets beside b's. An error says that nothing was
// exchanged, unless it is of what goes along: see Move.
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

// Move moves directories that go with an exchanged layer and were not moved with it. One
// that was is no error.
func (s Space) Move(ctx context.Context, along ...[2]string) error {
	_, err := s.Do(context.WithoutCancel(ctx), helper.LayerOrder{Verb: helper.LayerMove, Along: along})
	return err
}

// Do has tbx-box carry out one order, and turns what is in the way into an error.
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

// Run has tbx-box do something that reads the layer of a container, and returns what it
// writes.
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
	return fail.Wrap(fail.Unable, err, "podman's user namespace cannot be worked in: %s", escape.Text(strings.TrimSpace(said))).
		Hint("see whether this works: podman unshare true")
}

// obstacle is why an order was not carried out.
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
		return fail.New(fail.Unable, "the file system of %s keeps no extended attributes (%s), without which an exchange that is "+
			"interrupted cannot be put right", a.Dir, a.Text).
			Hint("podman's storage must be on a file system such as ext4, xfs or btrfs")
	}
	err := fail.New(nil, "the layer %s cannot be worked on: %s", a.Dir, a.Text)
	if strings.Contains(a.Text, "no space left") {
		err.Hint("make room: see df -h, and what podman could give back: podman system df")
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

// command is a call in podman's user and mount namespace: by nsenter where podman's
// pause process keeps them, which takes 5 ms, else by podman unshare, which makes
// one, in 100.
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

// keepsSpace says whether a process is podman's pause process, by its name: podman
// itself or catatonit.
func keepsSpace(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(comm))
	return err == nil && (name == "podman pause" || name == "catatonit")
}
