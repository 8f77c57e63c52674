package ostree_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/ostree"
	"github.com/tbx-project/tbx/osupdate/ostreefamily"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

func TestGoldens(t *testing.T) {
	for _, glob := range []string{"testdata/*.txt", "testdata/*.json"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatal(glob, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			if !strings.HasPrefix(name, "status-") && !strings.HasPrefix(name, "booted-") {
				continue // sessions and errors: below
			}
			parse := ostree.ParseText
			if filepath.Ext(file) == ".json" {
				parse = ostree.ParseJSON
			}
			list, err := parse([]byte(osupdatetest.Read(t, file)))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			osupdatetest.Golden(t, "testdata/"+name+".golden", (&osupdate.State{Backend: osupdate.OSTree, Deployments: list}).Arrange())
		}
	}
}

// TestSessions: text and JSON of one recorded host are the same to tbx, and the
// texts of 2022.7 read like those of 2026.
func TestSessions(t *testing.T) {
	section := func(file, head string) string {
		_, after, ok := strings.Cut(osupdatetest.Read(t, "testdata/"+file), "## "+head+"\n")
		text, _, more := strings.Cut(after, "\n## ")
		if !ok || !more {
			t.Fatalf("%s has no section %q", file, head)
		}
		return text
	}
	for _, file := range []string{"ostree-2022.7-session.txt", "ostree-2026.5-session.txt"} {
		list, err := ostree.ParseText([]byte(section(file, "status")))
		if err != nil || len(list) != 2 || list[0].Version != "42.2" || list[1].Version != "42.1" || list[1].Pinned {
			t.Errorf("%s: %+v, %v", file, list, err)
		}
		if diff := ostreefamily.ParseEtcDiff(section(file, "config-diff")); !reflect.DeepEqual(diff, []string{"A local.conf", "M app.conf"}) {
			t.Errorf("%s: %q", file, diff)
		}
		_, pinned, _ := strings.Cut(section(file, "pin 1"), "is now pinned\n")
		text, err := ostree.ParseText([]byte(pinned))
		if err != nil || !text[1].Pinned {
			t.Errorf("%s: %+v, %v", file, text, err)
		}
		if file == "ostree-2026.5-session.txt" {
			doc, err := ostree.ParseJSON([]byte(strings.TrimSuffix(strings.TrimSpace(section(file, "status --json")), "rc=0")))
			if err != nil || !reflect.DeepEqual(doc, text) {
				t.Errorf("JSON and text differ:\n%+v\n%+v, %v", doc, text, err)
			}
		}
	}
}

// TestErrors: each recorded text has its kind.
func TestErrors(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"ostree": nil})
	b, err := ostree.New(&osupdate.Tools{Dirs: []string{tool.Dir}}, "/", "", "", true)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*osupdate.Problem{
		"Out of range": osupdate.ErrNotFound, "Refspec": osupdate.ErrNotFound, "opening repo": osupdate.ErrNetwork,
		"Not currently booted": osupdate.ErrUnsupported, "loading sysroot": osupdate.ErrNotFound, "Staging deployment": osupdate.ErrUnsupported,
		"Upgrade target": osupdate.ErrDowngrade, "No staged": osupdate.ErrBackend, "Preparing": osupdate.ErrBackend, "Permission denied": osupdate.ErrPermission,
		"No valid signatures": osupdate.ErrSignature, "Can't verify commit": osupdate.ErrSignature, "Cannot verify": osupdate.ErrBackend,
		"Deploying tree": osupdate.ErrEtcMerge, "In commits": osupdate.ErrCorrupt, "Unknown option": osupdate.ErrBackend, "Unknown \"admin\"": osupdate.ErrBackend,
		"Requested signature": osupdate.ErrSignature, "Cannot stage": osupdate.ErrUnsupported,
	}
	seen := 0
	for line := range strings.Lines(osupdatetest.Read(t, "testdata/errors-2026.5.txt")) {
		text, ok := strings.CutPrefix(line, "error: ")
		if !ok {
			continue
		}
		seen++
		found := false
		for start, kind := range want {
			if strings.HasPrefix(text, start) {
				found = true
				err := b.Explain(&osupdate.ToolError{Argv: []string{"ostree"}, Code: 1, Stderr: line})
				if !errors.Is(err, kind) || len(fail.Hints(err)) == 0 {
					t.Errorf("%q: %v", text, err)
				}
			}
		}
		if !found {
			t.Errorf("a recorded text without a kind: %q", text)
		}
	}
	if seen < 18 {
		t.Errorf("only %d texts", seen)
	}
	if err := b.Explain(&osupdate.ToolError{Argv: []string{"ostree"}, Stdout: "No update available.\n"}); err != nil {
		t.Errorf("a success: %v", err)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte(osupdatetest.Read(f, "testdata/booted-staged.txt")))
	f.Add([]byte(osupdatetest.Read(f, "testdata/status-2026.5.txt")))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := ostree.ParseText(in)
		if err == nil {
			osupdatetest.Use(t, (&osupdate.State{Deployments: list}).Arrange())
		}
		ostree.ParseEntry(string(in))
		if c := ostree.FindVersion(string(in), "42.1"); c != "" && len(c) != 64 {
			t.Errorf("a commit %q", c)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(osupdatetest.Read(f, "testdata/status-2026.5.json")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if list, err := ostree.ParseJSON(in); err == nil {
			osupdatetest.Use(t, (&osupdate.State{Deployments: list}).Arrange())
		}
	})
}
