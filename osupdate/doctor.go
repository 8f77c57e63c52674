package osupdate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
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

// findings are collected in the order of looking.
type findings []Finding

func (f *findings) add(name, status, detail, hint string) {
	*f = append(*f, Finding{name, status, detail, hint})
}

func (f *findings) report(name string, err error) {
	f.add(name, "error", err.Error(), strings.Join(fail.Hints(err), "; "))
}

// Doctor looks for causes that would keep this host from being updated. h may come from a
// failed Open; openErr is that error. It returns the worst problem: ErrFinalize if the
// last update did not survive the reboot.
func (h *Host) Doctor(ctx context.Context, openErr error) ([]Finding, error) {
	var f findings
	f.add("detection", "ok", fmt.Sprintf("%s: %s", h.det.Kind, strings.Join(h.det.Evidence, "; ")), "")
	if openErr != nil {
		f.report("updater", openErr)
		return f, openErr
	}
	st, err := h.Status(ctx)
	if err != nil {
		f.report("status", err)
		return f, err
	}
	h.diagnoseSystems(st.State, &f)
	h.diagnoseOthers(ctx, st, &f)
	worst := h.lastBoot(ctx, st)
	if worst != nil {
		f.report("last boot", worst)
	}
	if err := h.mergeable("", st.State); err != nil {
		f.report("/etc", err)
	}
	if err := h.finalizes(ctx, st.State); err != nil {
		f.report("shutdown", err)
	}
	for _, w := range st.State.Warnings {
		f.add("updater", "warning", w, "")
	}
	h.diagnoseSource(ctx, st.State, &f)
	h.diagnoseSpace(&f)
	return f, worst
}

func (h *Host) diagnoseSystems(s *State, f *findings) {
	systems := fmt.Sprintf("%d systems", len(s.Deployments))
	if len(s.Deployments) == 1 {
		systems = "1 system"
	}
	f.add("status", "ok", systems+"; follows "+s.Tracked, "")
	if b := s.Boot; b.State != BootRunning && b.State != BootStaged {
		f.add("boot", "warning", b.Text+" (by "+b.Source+")", "")
	}
	if len(s.Deployments) < 2 {
		f.add("way back", "warning", "there is no other system to go back to", "the next upgrade makes one")
	}
	if cur := s.Current(); cur != nil && cur.EndOfLife != "" {
		hint := "choose what to follow instead: tbx host switch REF|IMAGE"
		if cur.Successor != "" {
			hint = "follow its successor, " + cur.Successor + ": tbx host switch --successor"
		}
		f.add("end of life", "warning", "the running system has reached its end of life: "+cur.EndOfLife, hint)
	}
}

// diagnoseOthers reports other update agents, by the state of their units, and work in
// progress.
func (h *Host) diagnoseOthers(ctx context.Context, st *Status, f *findings) {
	for _, m := range h.det.Managers {
		detail := m + " is enabled and also drives updates"
		if h.unitState(ctx, m) == "inactive" {
			detail = m + " is enabled, does not run now, and will drive updates after the next boot"
		}
		f.add("managers", "warning", detail, "let one of them do it: systemctl disable --now "+m)
	}
	s := st.State
	if s.Busy != nil {
		f.add("busy", "warning", Busy(*s.Busy).Error(), "")
	}
	if e := st.Interrupted; e != nil {
		f.add("history", "warning", fmt.Sprintf("%s of %s was interrupted", e.Request.Verb, e.Time.Format("2006-01-02 15:04")),
			"do it again; nothing is half done")
	}
}

// unitState returns systemd's word for a unit; empty without an answer.
func (h *Host) unitState(ctx context.Context, unit string) string {
	systemctl, err := h.cfg.Tools.Path("systemctl")
	if err != nil || h.cfg.Root != "/" {
		return ""
	}
	out, _, _ := h.cfg.Tools.Run(ctx, Call{Argv: []string{systemctl, "is-active", unit}}) // its exit code only reflects the state
	return strings.TrimSpace(string(out))
}

// diagnoseSource tests the needs of an update: whether the source can have news, and
// whether it can be reached with the mirrors, logins and proxy of this user. It also
// tells where the updater, which runs as root, looks for those.
func (h *Host) diagnoseSource(ctx context.Context, s *State, f *findings) {
	if err := h.wayToOld(s, ParseSource(s.Tracked).NoNews(s.Custom)); err != nil && h.family() {
		f.add("source", "warning", err.Error(), strings.Join(fail.Hints(err), "; "))
		return
	}
	proxies := h.proxies()
	if !h.cfg.Superuser && len(proxies) > 0 {
		f.add("proxy", "warning", strings.Join(proxies, ", ")+" of this session: the updater works as root and does not see it", h.proxyPlace())
	}
	if !h.be.Capabilities().Can(CanCheck) {
		return
	}
	_, err := h.be.Check(ctx, s)
	switch err = h.explain(err); {
	case err == nil:
		f.add("source", "ok", "it can be reached", "")
	case errors.Is(err, ErrPermission) && !h.cfg.Superuser && len(fail.Hints(err)) > 0:
		f.add("source", "warning", "as this user: "+err.Error(), strings.Join(fail.Hints(err), "; "))
	default:
		f.add("source", "warning", err.Error(), strings.Join(fail.Hints(err), "; "))
	}
}

// family reports whether the updater writes its source as OSTree's family does.
func (h *Host) family() bool {
	return slices.Contains([]Kind{OSTree, RPMOSTree, Bootc}, h.be.Kind())
}

// proxies returns the names of the caller's proxy variables.
func (h *Host) proxies() []string {
	var out []string
	for _, v := range h.cfg.Tools.Env {
		name, value, _ := strings.Cut(v, "=")
		if slices.Contains([]string{"http_proxy", "https_proxy", "all_proxy"}, strings.ToLower(name)) && value != "" {
			out = append(out, name)
		}
	}
	return out
}

// proxyPlace tells where the updater reads a proxy.
func (h *Host) proxyPlace() string {
	switch h.be.Kind() {
	case RPMOSTree:
		return "give it to the daemon: systemctl edit rpm-ostreed.service, with [Service] Environment=https_proxy=URL; an OSTree remote has a " +
			"proxy= of its own"
	case OSTree:
		return "give it to the remote: proxy=URL in /etc/ostree/remotes.d/REMOTE.conf"
	}
	return "put it into the environment of root's services: DefaultEnvironment=https_proxy=URL in /etc/systemd/system.conf.d, and keep it " +
		"in sudo: env_keep"
}

// diagnoseSpace checks each file system that an update writes to.
func (h *Host) diagnoseSpace(f *findings) {
	hint := "an update may not fit"
	if h.be.Capabilities().Can(Capability(Cleanup)) {
		hint += ": tbx host cleanup"
	} else if h.be.Capabilities().Can(Capability(Cancel)) {
		hint += "; remove an unwanted staged system with: tbx host cancel"
	}
	for _, d := range h.places() {
		var fs unix.Statfs_t
		if unix.Statfs(d.path, &fs) != nil {
			continue
		}
		free := fs.Bavail * uint64(fs.Bsize)
		status, next := "ok", ""
		if free < d.need {
			status, next = "warning", hint
			if d.what != "" {
				next = "an update may not fit: " + d.what
			}
		}
		f.add("space", status, fmt.Sprintf("%s has %d MiB free", d.path, free>>20), next)
	}
}

// tightBoot warns before staging a system that may not fit: it is written to /boot at
// shutdown, when nobody watches.
func (h *Host) tightBoot() []string {
	boot := h.places()[0]
	var fs unix.Statfs_t
	if writes, _ := h.det.finalizer(); writes == "" || unix.Statfs(boot.path, &fs) != nil {
		return nil
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free >= boot.need {
		return nil
	}
	return []string{fmt.Sprintf("%s has %d MiB free; a system with another kernel takes about %d MiB there, and would fail at the shutdown",
		boot.path, free>>20, boot.need>>20)}
}

// place is a directory that an update writes to, and the bytes that it needs.
type place struct {
	path string
	need uint64
	what string // the remedy when it is full; empty: the usual one
}

// places: /boot needs one more kernel with its initramfs, if the kernel changes; the
// repository needs the size of a small update. The EFI system partition counts if it is a
// file system of its own.
func (h *Host) places() []place {
	const small = 2 << 30 // bytes: what a small update takes
	boot, sysroot := filepath.Join(h.cfg.Root, "boot"), filepath.Join(h.cfg.Root, "sysroot")
	if h.cfg.Sysroot != "" {
		boot, sysroot = filepath.Join(h.cfg.Sysroot, "boot"), h.cfg.Sysroot
	}
	out := []place{{boot, kernelSize(boot), ""}, {sysroot, small, ""}}
	if h.cfg.Sysroot != "" {
		return out
	}
	seen := []uint64{device(boot), device(sysroot)}
	for _, esp := range []string{"efi", "boot/efi"} {
		path := filepath.Join(h.cfg.Root, esp)
		if dev := device(path); dev != 0 && !slices.Contains(seen, dev) && dev != device(filepath.Dir(path)) {
			seen = append(seen, dev)
			out = append(out, place{path, 64 << 20, "it is the EFI system partition; remove boot entries that are not used: bootctl list"})
		}
	}
	return out
}

// kernelSize returns the size of the largest kernel with its initramfs below boot, or 200
// MiB without one: a system with the same kernel as another needs nothing.
func kernelSize(boot string) uint64 {
	const unknown = 200 << 20
	var most uint64
	for _, pattern := range []string{"ostree/*", "EFI/Linux"} {
		dirs, _ := filepath.Glob(filepath.Join(boot, pattern)) // the patterns are constant: no error
		for _, dir := range dirs {
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			var sum uint64
			for _, file := range files {
				sum += fileSize(file)
			}
			most = max(most, sum)
		}
	}
	if most == 0 {
		return unknown
	}
	return most
}

// device returns the number of the file system of path; 0 if it is missing.
func device(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return uint64(st.Dev) //nolint:unconvert // another type on other machines
}
