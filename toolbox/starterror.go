package toolbox

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// noWay matches crun's error about a missing part of the path to a mount point.
var noWay = regexp.MustCompile("openat2 `([^`]+)`: No such file or directory")

// noMount matches crun's error about a mount: its source, its target and the cause.
var noMount = regexp.MustCompile("mount `([^`]+)` to `([^`]+)`: ([^:]+)")

// mountError explains why a toolbox cannot have one of its mounts.
func mountError(b *Box, source, target, cause string) error {
	for _, mt := range b.Mounts { // of an overlay the runtime knows another source
		if mt.Target == target && mt.Source != "" {
			source = mt.Source
		}
	}
	if st, err := os.Stat(source); err == nil && !st.IsDir() && cause == "Not a directory" {
		cause = "it is no directory, and what is there in the image is one"
	}
	return fail.New(nil, "toolbox %s cannot be started: %s cannot be mounted at %s: %s",
		b.Name, escape.Text(source), escape.Text(target), cause).
		Hint("leave it out, if you asked for it: tbx edit --no-volume %s %s", escape.Text(target), b.Name)
}

// mendStart makes the directory whose lack made a start fail, and reports whether it did.
// In images of systems whose /home is a link into /var the link's target is missing,
// because such a system makes it at boot.
func (m *Manager) mendStart(ctx context.Context, e Engine, b *Box, err error) bool {
	said := noWay.FindStringSubmatch(err.Error())
	if said == nil || !b.Managed() {
		return false
	}
	missing := leadsNowhere(ctx, e, b.ID, "/"+strings.Trim(said[1], "/"))
	return missing != "" && e.MakeDir(ctx, b.ID, missing) == nil
}

// leadsNowhere returns the missing target of a link in the container, or "".
func leadsNowhere(ctx context.Context, e Engine, id, link string) string {
	_, err := e.Stat(ctx, id, link)
	var said *fail.Error
	if !errors.Is(err, fail.NotFound) || !errors.As(err, &said) {
		return ""
	}
	target, ok := strings.CutSuffix(said.Msg, isNotThere)
	if !ok || target == link || !strings.HasPrefix(target, "/") {
		return ""
	}
	return target
}

// isNotThere ends the message of Engine.Stat about a missing path.
const isNotThere = " is not there"

// startError explains why podman did not start a toolbox. Nothing of it ran, so there is
// no log.
func startError(b *Box, err error) error {
	e := fail.Wrap(nil, err, "toolbox %s cannot be started", b.Name)
	said, mount := noWay.FindStringSubmatch(err.Error()), noMount.FindStringSubmatch(err.Error())
	switch {
	case mount != nil:
		return mountError(b, mount[1], "/"+strings.Trim(mount[2], "/"), mount[3])
	case said != nil:
		return e.Hint("/%s in its image does not lead to the mount point; an image with a directory there works",
			escape.Text(strings.Trim(said[1], "/")))
	case strings.Contains(err.Error(), "sd-bus call: File exists"):
		return e.Hint("systemd still has a unit of an earlier start; remove it with: systemctl --user reset-failed")
	case strings.Contains(err.Error(), "executable") && strings.Contains(err.Error(), "ermission denied"):
		return e.Hint("its first process is mounted at %s: check that you may run programs there (mount options, rights, security modules)",
			boxinit.BoxDir)
	}
	return e.Hint("see podman's own message: podman start %s", b.Name)
}
