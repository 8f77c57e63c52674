package osupdate

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Request is one verb with typed arguments. An ordinary user's tbx can pass nothing else
// to root, so Validate checks every field on both sides.
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
	Soft           bool     `json:"soft,omitempty"`
	DespiteUsers   bool     `json:"despite_users,omitempty"` // of reboot: also while others are logged in
	Successor      bool     `json:"successor,omitempty"`
}

// Words returns the request's arguments, as a person would write them after the verb.
func (r Request) Words() []string {
	var out []string
	for _, f := range fields() {
		for _, v := range f.values(&r) {
			out = append(out, f.flag+v)
		}
	}
	return out
}

// KargsAfter returns now, changed by r, a request with the verb Kargs.
func (r Request) KargsAfter(now []string) []string {
	want := slices.DeleteFunc(slices.Clone(now), func(k string) bool { return slices.Contains(r.Delete, k) })
	for _, k := range r.Append {
		if !slices.Contains(want, k) {
			want = append(want, k)
		}
	}
	return want
}

// File returns the part of the request that names a file of this machine: an image in a
// file or directory, a repository, a package. Root's helper accepts none. Empty: there is
// none.
func (r Request) File() string {
	switch {
	case r.Verb == Switch && ParseSource(r.Target).Class == SourceArchive:
		return r.Target
	case r.Verb == Upgrade:
		return r.From
	}
	for _, name := range r.Packages {
		if strings.HasPrefix(name, "/") {
			return name
		}
	}
	return ""
}

// Validate refuses a value of a wrong form, and an argument that the verb does not take.
// An option, a path, a URL with credentials, white space outside of quotes or a control
// character never reaches an updater.
func (r Request) Validate() error {
	row := r.Verb.info()
	if row == nil || row.local {
		return fail.New(fail.Usage, "no such verb %q", r.Verb)
	}
	used := map[*field]bool{}
	for i := range row.Args {
		a := &row.Args[i]
		used[a.field] = true
		values := a.field.values(&r)
		if len(values) == 0 && a.Required != "" {
			e := fail.New(fail.Usage, "%s: %s", r.Verb, a.Required)
			if a.Hint != "" {
				e.Hint("%s", a.Hint)
			}
			return e
		}
		for _, v := range values {
			if err := a.check(r.Verb, v); err != nil {
				return err
			}
		}
	}
	for _, f := range fields() {
		if !used[f] && len(f.values(&r)) > 0 {
			return fail.New(fail.Usage, "%s takes no %s", r.Verb, f.name)
		}
	}
	if row.check != nil {
		return row.check(r)
	}
	return nil
}
