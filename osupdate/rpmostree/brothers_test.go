package rpmostree_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/rpmostree"
)

// overridden is the status of a system with an override of each form.
func overridden(t *testing.T) string {
	t.Helper()
	doc := recorded(t, "status-alone-json")
	for key, value := range map[string]string{
		"requested-base-local-replacements": `["kernel-6.1-1.x86_64"]`, "requested-base-removals": `["nano"]`, "initramfs-etc": `["/etc/vconsole.conf"]`,
		"requested-local-packages": `["docker-ce-18.05-3.x86_64"]`, "requested-packages": `["hello"]`, "packages": `["hello"]`,
		"requested-base-remote-replacements": `{"repo=lab":["tool"]}`, "base-remote-replacements": `{"repo=lab":[["tool-1.1-1.noarch","tool-1.0-1.noarch"],"tool"]}`,
	} {
		at := strings.Index(doc, `"`+key+`" :`)
		if at < 0 {
			at = strings.Index(doc, `"osname"`)
			doc = doc[:at] + `"` + key + `" : ` + value + ", " + doc[at:]
			continue
		}
		rest := doc[at:]
		end := strings.IndexAny(rest, "]}") + 1
		doc = doc[:at] + `"` + key + `" : ` + value + rest[end:]
	}
	return doc
}

// TestH97_OverridesOfEveryForm: by name and full name, from a repository, a file and by
// removal, in the form of older versions too: reset, told, exported, and named before a
// move to an image.
func TestH97_OverridesOfEveryForm(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: overridden(t)}}})
	h := open(t, tool, nil)
	s, err := h.Backend().State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := s.Current().Changes
	if !slices.Equal(c.Replaced, []string{"kernel-6.1-1.x86_64", "tool"}) || !slices.Equal(c.Removed, []string{"nano"}) || len(c.NotInUse) > 0 || !slices.Equal(c.Files, []string{"/etc/vconsole.conf"}) {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"kernel", "kernel-6.1-1.x86_64", "tool", "nano"} {
		p, err := osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.OverrideReset, Packages: []string{name}})
		if err != nil || p.Unchanged != "" || !slices.Contains(p.Steps[0].Argv, name) {
			t.Errorf("reset %s: %+v, %v", name, p, err)
		}
	}
	p, err := osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.OverrideReset, Packages: []string{"kern"}})
	if err != nil || p.Unchanged == "" {
		t.Errorf("a name that nothing has: %+v, %v", p, err)
	}
	for full, name := range map[string]string{
		"kernel-6.1-1.x86_64": "kernel", "gtk-update-icon-cache": "gtk-update-icon-cache", "gtk-update-icon-cache-3.24.43-2.fc43.x86_64": "gtk-update-icon-cache",
		"bind-32:9.18.28-2.fc43.x86_64": "bind", "java-21-openjdk": "java-21-openjdk", "x": "x", "-1-1.x": "-1-1.x",
	} {
		if got := osupdate.PackageName(full); got != name {
			t.Errorf("the name of %s is %s", full, got)
		}
	}
	text, err := h.Containerfile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	image := "ostree-unverified-registry:quay.io/lab/host:1"
	p, err = osupdatetest.Plan(t.Context(), h, osupdate.Request{Verb: osupdate.Switch, Target: image})
	if err != nil {
		t.Fatal(err)
	}
	before := *s.Current()
	before.Changes = &osupdate.Changes{}
	for _, name := range []string{"kernel-6.1-1.x86_64", "tool", "nano", "hello", "docker-ce-18.05-3.x86_64", "/etc/vconsole.conf"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not exported:\n%s", name, text)
		}
		if !strings.Contains(strings.Join(p.Warnings, " "), name) {
			t.Errorf("a move to an image does not name %s: %q", name, p.Warnings)
		}
		if on, off := osupdate.Difference(&before, s.Current()), osupdate.Difference(s.Current(), &before); !strings.Contains(on, name) || !strings.Contains(off, name) {
			t.Errorf("%s is no difference: %q, %q", name, on, off)
		}
	}
}

// TestH96_NewsOfARef: an update of a ref has the version, the date and the end of life
// that its commit says, with what rpm-ostree found for it.
func TestH96_NewsOfARef(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"rpm-ostree": {{Args: "status --json", Stdout: data(t, "clean")}}})
	cfg := config(t, tool, nil)
	cfg.NewBackend = func(_ osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return rpmostree.New(c.Tools, nil, func(context.Context, string) (*osupdate.Update, error) {
			return &osupdate.Update{Checksum: newest, Version: "44.1", Time: &at, EndOfLife: "no more", Successor: "fedora/45", Source: "the OSTree remote"}, nil
		})
	}
	h, err := osupdate.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Check(t.Context())
	if err != nil || c.Update == nil || c.Update.Version != "44.1" || !c.Update.Time.Equal(at) || c.Update.EndOfLife == "" || c.Update.Successor != "fedora/45" || c.Refused != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestH97_ResetThatDidNothing: rpm-ostree says that it is done, and the package that was
// named without its version is still overridden.
func TestH97_ResetThatDidNothing(t *testing.T) {
	before := overridden(t)
	after := strings.ReplaceAll(before, `.0"`, `.1"`) // another deployment of the same
	tool := osupdatetest.NewTool(t, "before", map[string][]osupdatetest.Call{"rpm-ostree": {
		{In: "before", Args: "status --json", Stdout: before}, {In: "after", Args: "status --json", Stdout: after}, {Args: "override reset kernel", To: "after"},
	}})
	_, err := open(t, tool, nil).Do(t.Context(), osupdate.Request{Verb: osupdate.OverrideReset, Packages: []string{"kernel"}}, false)
	if !errors.Is(err, osupdate.ErrUnverified) || !strings.Contains(err.Error(), "still overridden") {
		t.Errorf("%v", err)
	}
}
