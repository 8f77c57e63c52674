package osupdate

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
)

// Finding is one line of `tbx host doctor`.
type Finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warning or error
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// Doctor looks for what would keep this host from being updated. h may be one
// that Open returned with an error; openErr is that error. The error is what is
// worst: ErrFinalize when the last update did not come through the reboot.
func (h *Host) Doctor(ctx context.Context, openErr error) ([]Finding, error) {
	var out []Finding
	add := func(name, status, detail, hint string) { out = append(out, Finding{name, status, detail, hint}) }
	report := func(name string, err error) {
		add(name, "error", err.Error(), strings.Join(fail.Hints(err), "; "))
	}
	add("detection", "ok", fmt.Sprintf("%s: %s", h.det.Kind, strings.Join(h.det.Evidence, "; ")), "")
	if openErr != nil {
		report("updater", openErr)
		return out, openErr
	}
	st, err := h.Status(ctx)
	if err != nil {
		report("status", err)
		return out, err
	}
	s := st.State
	add("status", "ok", fmt.Sprintf("%d systems; follows %s", len(s.Deployments), s.Tracked), "")
	if len(s.Deployments) < 2 {
		add("way back", "warning", "there is no other system to go back to", "the next upgrade makes one")
	}
	for _, m := range h.det.Managers {
		add("managers", "warning", m+" is enabled and also drives updates", "let one of them do it: systemctl disable --now "+m)
	}
	if s.Busy != nil {
		add("busy", "warning", Busy(*s.Busy).Error(), "")
	}
	if e := st.Interrupted; e != nil {
		add("history", "warning", fmt.Sprintf("%s of %s was interrupted", e.Request.Verb, e.Time.Format("2006-01-02 15:04")), "do it again; nothing is half done")
	}
	worst := h.lastBoot(ctx, st)
	if worst != nil {
		report("last boot", worst)
	}
	for _, w := range s.Warnings {
		add("updater", "warning", w, "")
	}
	boot, sysroot := filepath.Join(h.cfg.Root, "boot"), filepath.Join(h.cfg.Root, "sysroot")
	if h.cfg.Sysroot != "" {
		boot, sysroot = filepath.Join(h.cfg.Sysroot, "boot"), h.cfg.Sysroot
	}
	for _, d := range []struct {
		path string
		need uint64 // bytes: two kernels with initramfs; what a small update takes
	}{{boot, 200 << 20}, {sysroot, 2 << 30}} {
		var fs unix.Statfs_t
		path := d.path
		if unix.Statfs(path, &fs) != nil {
			continue
		}
		free := fs.Bavail * uint64(fs.Bsize)
		status, hint := "ok", ""
		if free < d.need {
			status, hint = "warning", "an update may not fit: tbx host cleanup"
		}
		add("space", status, fmt.Sprintf("%s has %d MiB free", path, free>>20), hint)
	}
	return out, worst
}
