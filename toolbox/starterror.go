package toolbox

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// noWay is how crun says that it cannot go through a part of the way to a mount's place.
var noWay = regexp.MustCompile("openat2 `([^`]+)`: No such file or directory")

// mendStart puts into the image's layer what a start has failed for, if tbx knows that,
// and says whether it did. In images of systems whose /home is a link into /var there is
// nothing where the link leads, because such a system makes that at boot.
func (m *Manager) mendStart(ctx context.Context, e Engine, b *Box, err error) bool {
	said := noWay.FindStringSubmatch(err.Error())
	if said == nil || !b.Managed() {
		return false
	}
	missing := leadsNowhere(ctx, e, b.ID, "/"+strings.Trim(said[1], "/"))
	return missing != "" && e.MakeDir(ctx, b.ID, missing) == nil
}

// leadsNowhere returns where a link of the container's leads, if nothing is there, or "".
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

// isNotThere ends the message of Engine.Stat for what is not there.
const isNotThere = " is not there"

// startError says why podman did not start a toolbox. Nothing of it ran, so there is no
// log to look into.
func startError(b *Box, err error) error {
	e := fail.Wrap(nil, err, "toolbox %s cannot be started", b.Name)
	said := noWay.FindStringSubmatch(err.Error())
	switch {
	case said != nil:
		return e.Hint("/%s in its image is no way to what is mounted there; an image with that as a directory works",
			escape.Text(strings.Trim(said[1], "/")))
	case strings.Contains(err.Error(), "sd-bus call: File exists"):
		return e.Hint("systemd has a unit of an earlier start still; it gives that up by: systemctl --user reset-failed")
	case strings.Contains(err.Error(), "executable") && strings.Contains(err.Error(), "ermission denied"):
		return e.Hint("its first process is mounted at %s: see that you may run programs there (mount options, rights, security modules)",
			boxinit.BoxDir)
	}
	return e.Hint("what podman has to say of it: podman start %s", b.Name)
}
