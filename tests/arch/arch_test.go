// Package arch_test holds the packages to the direction of imports that
// ARCHITECTURE.md gives: cmd, then the domain packages, then the leaves.
package arch_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tbx-project/tbx/"

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps,Standard", "-tags", "remote"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// mayImport says which packages of this module a package may import, by the
// beginning of its path; the longest that fits counts.
var mayImport = []struct {
	of      string
	allowed []string
}{
	{"internal/", []string{"internal/"}},
	{"toolbox", []string{"toolbox", "internal/"}},
	{"toolbox/boxinit", nil},
	{"toolbox/stage", nil},
	{"toolbox/join", []string{"internal/"}},
	{"images", []string{"images", "internal/"}},
	{"hostbridge", []string{"hostbridge", "internal/"}},
	{"osupdate", []string{"osupdate", "internal/"}},
	{"profile.d", []string{"toolbox/boxinit"}},
	{"cmd", []string{""}},
	{"tests/", []string{""}},
}

func TestImportsGoOneWay(t *testing.T) {
	all := list(t, "../../...")
	if len(all) < 10 {
		t.Fatalf("only %d packages were found", len(all))
	}
	for _, p := range all {
		path := strings.TrimPrefix(p.ImportPath, module)
		best := -1
		for i, rule := range mayImport {
			if strings.HasPrefix(path, rule.of) && (best < 0 || len(rule.of) > len(mayImport[best].of)) {
				best = i
			}
		}
		if best < 0 {
			t.Errorf("%s: there is no rule for it", path)
			continue
		}
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !slices.ContainsFunc(mayImport[best].allowed, func(a string) bool { return strings.HasPrefix(ours, a) }) {
				t.Errorf("%s imports %s", path, ours)
			}
		}
	}
}

// Packages outside the module that only some may import.
func TestWhoMayImportWhat(t *testing.T) {
	for _, p := range list(t, "../../...") {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			switch {
			case strings.HasPrefix(imp, "github.com/containers/podman/v4/pkg/bindings") && path != "toolbox/podman":
				t.Errorf("%s imports podman's bindings", path)
			case strings.HasPrefix(imp, "github.com/spf13/") && !strings.HasPrefix(path, "cmd") && !strings.HasPrefix(path, "tests/"):
				t.Errorf("%s imports cobra or pflag", path)
			case imp == "github.com/sirupsen/logrus" && !strings.HasPrefix(path, "cmd"):
				t.Errorf("%s logs by itself", path)
			}
		}
	}
}

// tbx-box is in every toolbox and in every session: the standard library and
// x/sys, and nothing of tbx but its own roles and what makes their messages safe.
func TestWhatTbxBoxIsMadeOf(t *testing.T) {
	p := list(t, "../../cmd/tbx-box")[0]
	for _, dep := range p.Deps {
		first, _, _ := strings.Cut(dep, "/")
		ours := strings.HasPrefix(dep, module+"toolbox/boxinit") || strings.HasPrefix(dep, module+"toolbox/stage") ||
			strings.HasPrefix(dep, module+"hostbridge/wire") || strings.HasPrefix(dep, module+"hostbridge/client") || strings.HasPrefix(dep, module+"hostbridge/keeper") || dep == module+"internal/escape" || dep == module+"internal/eintr"
		if strings.Contains(first, ".") && !ours && !strings.HasPrefix(dep, "golang.org/x/sys/") {
			t.Errorf("tbx-box contains %s", dep)
		}
	}
	if slices.Contains(p.Deps, "net/http") {
		t.Error("tbx-box contains net/http")
	}
}

// System calls that a signal interrupts are made by internal/eintr, which repeats
// them. The helpers inside toolboxes may not import it and have loops of their own.
func TestB24_InterruptedCallsAreRepeated(t *testing.T) {
	raw := regexp.MustCompile(`\b(unix|syscall)\.(Poll|Ppoll|Select|Open|Openat|Connect|Flock|FcntlFlock)\(`)
	looked := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel("../..", path)
		if err != nil || d.IsDir() && (rel == "tests" || rel == ".git" || rel == "internal/eintr" || rel == "hostbridge/bridgetest" || rel == "toolbox/stage" || rel == "toolbox/boxinit") {
			return cmp.Or(err, fs.SkipDir)
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		looked++
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			if raw.MatchString(line) && !strings.Contains(line, "eintr.") {
				t.Errorf("%s:%d: %s", rel, i+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil || looked < 100 {
		t.Fatalf("%d files, %v", looked, err)
	}
}

// What users call is run, enter, the host's status and the agent alone: with what
// pulls images and asks registries it would start in twice the time.
func TestWhatTbxIsNotMadeOf(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/tbx").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		switch {
		case dep == "net/http", strings.HasPrefix(dep, module+"images"), dep == module+"osupdate/registry", dep == module+"toolbox/podman":
			t.Errorf("tbx contains %s", dep)
		}
	}
}
