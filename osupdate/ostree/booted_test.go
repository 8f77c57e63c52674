package ostree_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostree"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// TestPlansOfBootedHosts: what the real ostree does only on a host that it booted,
// over recorded states: an update is staged while there is a way back, and the
// origin is one that plain ostree does not know.
func TestPlansOfBootedHosts(t *testing.T) {
	const origin = "[origin]\nrefspec=testos:testos/x86_64/stable\n"
	newer, older := "Usage:\n  set-default  Make a deployment the default\n", "Usage:\n  deploy\n"
	for _, c := range []struct {
		name, state, help string
		r                 osupdate.Request
		want              []string // none: unchanged
		err               error
	}{
		{"upgrade is staged", "staged", "", osupdate.Request{Verb: "upgrade"}, []string{"upgrade --os=testos --stage"}, nil},
		{"rollback drops what is staged", "staged", newer, osupdate.Request{Verb: "rollback"}, []string{"undeploy 0", "set-default 1"}, nil},
		{"rollback with an older ostree", "staged", older, osupdate.Request{Verb: "rollback"}, []string{"undeploy 0",
			"deploy --os=testos --retain --origin-file={origin} 3ea343e2b1f3c5d7e9a0b2c4d6e8f0a1b3c5d7e9f1a3b5c7d9e1f3a5b7c9d1e3"}, nil},
		{"rollback to what is staged", "staged", "", osupdate.Request{Verb: "rollback", Target: "0"}, nil, nil},
		{"cancel", "staged", "", osupdate.Request{Verb: "cancel"}, []string{"undeploy 0"}, nil},
		{"cleanup of both", "staged", "", osupdate.Request{Verb: "cleanup", Parts: []string{"pending"}}, []string{"undeploy 0", "cleanup"}, nil},
		{"cleanup of the way back alone", "staged", "", osupdate.Request{Verb: "cleanup", Parts: []string{"rollback"}}, nil, osupdate.ErrUnsafe},
		{"a pinned way back stays", "staged", "", osupdate.Request{Verb: "cleanup", Parts: []string{"pending", "rollback"}}, []string{"undeploy 0", "cleanup"}, nil},
		{"pin what is staged", "staged", "", osupdate.Request{Verb: "pin", Target: "0"}, nil, osupdate.ErrUnsupported},
		{"pinned already", "staged", "", osupdate.Request{Verb: "pin", Target: "rollback"}, nil, nil},
		{"overlay", "container", "", osupdate.Request{Verb: "overlay"}, []string{"unlock"}, nil},
		{"overlay twice", "staged", "", osupdate.Request{Verb: "overlay"}, nil, nil},
		{"upgrade of an unknown origin", "container", "", osupdate.Request{Verb: "upgrade"}, nil, osupdate.ErrUnsupported},
		{"rollback without a way back", "container", "", osupdate.Request{Verb: "rollback"}, nil, osupdate.ErrNoRollback},
		{"nothing deployed", "none", "", osupdate.Request{Verb: "upgrade"}, nil, osupdate.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			deploy := filepath.Join(root, "ostree/deploy/testos/deploy")
			if err := os.MkdirAll(deploy, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(deploy+"/3ea343e2b1f3c5d7e9a0b2c4d6e8f0a1b3c5d7e9f1a3b5c7d9e1f3a5b7c9d1e3.1.origin", []byte(origin), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg := osupdatetest.NewConfig("/", t.TempDir())
			checks := filepath.Join(cfg.StateDir, "cache/check-repo")
			tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"ostree": {
				{Args: "admin status --sysroot=" + root + " --json", Stderr: "error: Unknown option --json\n", Code: 1},
				{Args: "admin status --sysroot=" + root, Stdout: osupdatetest.Read(t, "testdata/booted-"+c.state+".txt")},
				{Args: "admin --help", Stdout: c.help, Maybe: c.help == ""},
				{Args: "--repo=" + checks + " init --mode=archive", Stderr: "error: none here\n", Code: 1, Maybe: true},
			}})
			cfg.Sysroot, cfg.Tools.Dirs = root, []string{tool.Dir}
			cfg.NewBackend = func(_ osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
				return ostree.New(c.Tools, root, "", filepath.Join(cfg.StateDir, "cache"), true)
			}
			h, err := osupdate.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			p, err := osupdatetest.Plan(t.Context(), h, c.r)
			if !errors.Is(err, c.err) || err != nil && len(fail.Hints(err)) == 0 {
				t.Fatalf("%v, hints %q", err, fail.Hints(err))
			}
			if err != nil {
				return
			}
			var got []string
			for _, s := range p.Steps {
				got = append(got, strings.Replace(strings.Join(s.Argv[2:], " "), " --sysroot="+root, "", 1))
			}
			if !slices.Equal(got, c.want) || (p.Unchanged != "") != (len(c.want) == 0) || len(c.want) > 0 && !p.NeedsRoot {
				t.Errorf("steps %q, unchanged %q, root %t", got, p.Unchanged, p.NeedsRoot)
			}
		})
	}
}
