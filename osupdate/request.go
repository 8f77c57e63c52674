package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Verb is one thing that can be done to a host. The names are also the first
// argument of the root helper and the last part of the polkit action.
type Verb string

// The verbs that change something.
const (
	Upgrade         Verb = "upgrade"          // newest of what the host tracks, or Target: a version or digest of it
	Rollback        Verb = "rollback"         // Target: index or id; empty: the previous system
	Pin             Verb = "pin"              // Target: index or id
	Unpin           Verb = "unpin"            // Target: index or id
	Switch          Verb = "switch"           // Target: ref or image to track from now on
	Install         Verb = "install"          // Packages
	Uninstall       Verb = "uninstall"        // Packages
	OverrideReplace Verb = "override-replace" // Packages; From: a repository, or empty for files and URLs
	OverrideRemove  Verb = "override-remove"  // Packages
	OverrideReset   Verb = "override-reset"   // Packages, or none for all
	Kargs           Verb = "kargs"            // Append, Delete
	Initramfs       Verb = "initramfs"        // Target: enable or disable; Dracut
	ApplyLive       Verb = "apply-live"
	Overlay         Verb = "overlay" // a writable /usr until the next boot
	Cancel          Verb = "cancel"  // stop a running transaction, else withdraw what waits for the next boot
	Cleanup         Verb = "cleanup" // Parts: pending, rollback, base, cache
	Reboot          Verb = "reboot"
)

// BuildVerb is in plans and in the history only: the host follows Target from now
// on, which was built here before. Root's helper does not take it.
const BuildVerb Verb = "build"

// StatusVerb and CheckVerb read; they are verbs of the root helper only, for
// updaters that show nothing to an ordinary user.
const (
	StatusVerb Verb = "status"
	CheckVerb  Verb = "check"
)

// Verbs lists the mutating verbs in the order of the documentation.
func Verbs() []Verb {
	return []Verb{Upgrade, Rollback, Pin, Unpin, Switch, Install, Uninstall, OverrideReplace, OverrideRemove,
		OverrideReset, Kargs, Initramfs, ApplyLive, Overlay, Cancel, Cleanup, Reboot}
}

// Request is one verb with typed arguments. It is all that an ordinary user's
// tbx can hand to root, so every field is checked by Validate on both sides.
type Request struct {
	Verb           Verb     `json:"verb"`
	Target         string   `json:"target,omitempty"`
	Packages       []string `json:"packages,omitempty"`
	From           string   `json:"from,omitempty"`
	Append         []string `json:"append,omitempty"`
	Delete         []string `json:"delete,omitempty"`
	Dracut         []string `json:"dracut,omitempty"`
	Parts          []string `json:"parts,omitempty"`
	AllowDowngrade bool     `json:"allow_downgrade,omitempty"`
	DownloadOnly   bool     `json:"download_only,omitempty"`
}

var (
	targetForm  = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9._:/@+~=-]*$`)
	indexForm   = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9._:+-]*$`)
	packageForm = pattern.Lazy(`^@?[A-Za-z0-9][A-Za-z0-9._+:~^()-]*$`)
	kargForm    = pattern.Lazy(`^[A-Za-z0-9_][!-~]*$`)
	dracutForm  = pattern.Lazy(`^--(?:(?:add|force-add|omit|add-drivers|force-drivers|omit-drivers|filesystems)=[A-Za-z0-9][A-Za-z0-9._ -]*|hostonly|no-hostonly)$`)
)

// Words are what was asked for, as a person would write it after the verb.
func (r Request) Words() []string {
	var out []string
	if r.Target != "" {
		out = append(out, r.Target)
	}
	out = append(out, r.Packages...)
	if r.From != "" {
		out = append(out, "--from="+r.From)
	}
	for _, f := range []struct {
		flag   string
		values []string
	}{{"--append=", r.Append}, {"--delete=", r.Delete}, {"--arg=", r.Dracut}, {"--", r.Parts}} {
		for _, v := range f.values {
			out = append(out, f.flag+v)
		}
	}
	if r.AllowDowngrade {
		out = append(out, "--allow-downgrade")
	}
	if r.DownloadOnly {
		out = append(out, "--download-only")
	}
	return out
}

// KargsAfter are the kernel arguments that r, of the verb Kargs, makes of now.
func (r Request) KargsAfter(now []string) []string {
	want := slices.DeleteFunc(slices.Clone(now), func(k string) bool { return slices.Contains(r.Delete, k) })
	for _, k := range r.Append {
		if !slices.Contains(want, k) {
			want = append(want, k)
		}
	}
	return want
}

// Validate refuses whatever is not a plain word of its kind: an argument that
// looks like an option, a path, a URL with credentials, white space or control
// characters never reaches an updater.
func (r Request) Validate() error {
	bad := func(what, value string) error {
		return fail.New(fail.Usage, "%s: %q is not a %s", r.Verb, value, what)
	}
	used := map[string]bool{}
	switch r.Verb {
	case Upgrade:
		used["target"], used["flags"] = true, true
		if r.Target != "" && !targetForm().MatchString(r.Target) {
			return bad("version or digest", r.Target)
		}
	case Rollback, Pin, Unpin:
		used["target"] = true
		if r.Target != "" && !indexForm().MatchString(r.Target) {
			return bad("deployment", r.Target)
		}
		if r.Target == "" && r.Verb != Rollback {
			return fail.New(fail.Usage, "%s: which deployment", r.Verb).Hint("give its index from tbx host status")
		}
	case Switch:
		used["target"] = true
		if !targetForm().MatchString(r.Target) || strings.Contains(r.Target, "..") {
			return bad("ref or image", r.Target)
		}
	case Install, Uninstall, OverrideReplace, OverrideRemove, OverrideReset:
		used["packages"] = true
		used["from"] = r.Verb == OverrideReplace
		if len(r.Packages) == 0 && r.Verb != OverrideReset {
			return fail.New(fail.Usage, "%s: no package named", r.Verb)
		}
		for _, p := range r.Packages {
			if !packageForm().MatchString(p) {
				return bad("package name", p)
			}
		}
		if r.From != "" && !indexForm().MatchString(r.From) {
			return bad("repository", r.From)
		}
	case Kargs:
		used["kargs"] = true
		if len(r.Append)+len(r.Delete) == 0 {
			return fail.New(fail.Usage, "kargs: nothing to append or delete")
		}
	case Initramfs:
		used["target"], used["dracut"] = true, r.Target == "enable"
		if r.Target != "enable" && r.Target != "disable" {
			return fail.New(fail.Usage, "%s: %q is neither enable nor disable", r.Verb, r.Target)
		}
	case Cleanup:
		used["parts"] = true
		for _, p := range r.Parts {
			if !slices.Contains([]string{"pending", "rollback", "base", "cache"}, p) {
				return bad("part of pending, rollback, base, cache", p)
			}
		}
	case ApplyLive, Overlay, Cancel, Reboot, StatusVerb, CheckVerb:
	default:
		return fail.New(fail.Usage, "no such verb %q", r.Verb)
	}
	for _, a := range r.Dracut { // others name files that root would read, or run
		if !dracutForm().MatchString(a) {
			return fail.New(fail.Usage, "%s: the argument %q of dracut is not one that tbx passes on", r.Verb, a).
				Hint("those are --add, --force-add, --omit, --add-drivers, --force-drivers, --omit-drivers and --filesystems, each with =NAME, --hostonly and --no-hostonly").
				Hint("others belong into a file of /etc/dracut.conf.d")
		}
	}
	const longest = 1000 // no name or argument that an updater takes comes near it
	for _, word := range slices.Concat([]string{r.Target, r.From}, r.Packages, r.Append, r.Delete, r.Dracut) {
		if len(word) > longest {
			return bad("word of at most 1000 characters", word[:20]+"…")
		}
	}
	for _, k := range slices.Concat(r.Append, r.Delete) {
		if !kargForm().MatchString(k) {
			return bad("kernel argument", k)
		}
	}
	given := map[string]bool{
		"target": r.Target != "", "packages": len(r.Packages) > 0, "from": r.From != "", "parts": len(r.Parts) > 0,
		"kargs": len(r.Append)+len(r.Delete) > 0, "dracut": len(r.Dracut) > 0, "flags": r.AllowDowngrade || r.DownloadOnly,
	}
	for what, is := range given {
		if is && !used[what] {
			return fail.New(fail.Usage, "%s takes no %s", r.Verb, what)
		}
	}
	return nil
}
