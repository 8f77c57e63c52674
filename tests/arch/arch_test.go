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

// list describes packages and what they import, as they are compiled without build
// tags and with those of tbx-podman.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	var all []pkg
	for _, tags := range []string{"", "remote"} {
		out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps,Standard", "-tags", tags}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p pkg
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	return all
}

// mayImport says which packages of this module a package may import. A name stands
// for that package; NAME/... for it and all below it. The longest rule that fits a
// package counts. What is for tests only (osupdatetest, bridgetest) is in no list.
var mayImport = map[string][]string{
	"internal/...": {"internal/..."},

	"toolbox":         {"internal/...", "toolbox/boxinit", "toolbox/carry", "toolbox/helper", "toolbox/integration", "toolbox/join", "toolbox/layers", "toolbox/savefile", "toolbox/treecopy"},
	"toolbox/podman":  {"toolbox", "toolbox/helper", "toolbox/join", "toolbox/layers", "internal/..."},
	"toolbox/layers":  {"toolbox/carry", "toolbox/helper", "toolbox/treecopy", "internal/..."},
	"toolbox/carry":   {"toolbox/treecopy"},
	"toolbox/join":    {"internal/..."},
	"toolbox/boxinit": {"internal/executable"},
	"toolbox/helper":  {},

	"toolbox/integration": {"toolbox/boxinit", "internal/..."},

	"toolbox/savefile":        {"internal/..."},
	"toolbox/savefile/stream": {"toolbox/savefile", "internal/..."},

	"toolbox/treecopy": {"internal/eintr"},

	"profile.d": {"toolbox/boxinit"},

	"images":          {"internal/..."},
	"images/podman":   {"images", "internal/..."},
	"images/registry": {"images", "internal/..."},

	"hostbridge":         {"hostbridge/runner", "hostbridge/session", "hostbridge/wire", "internal/..."},
	"hostbridge/session": {"internal/..."},
	"hostbridge/wire":    {"internal/..."},
	"hostbridge/client":  {"hostbridge/wire", "internal/..."},
	"hostbridge/runner":  {"hostbridge/wire", "internal/..."},

	"hostbridge/bridgetest": {"hostbridge", "hostbridge/client", "hostbridge/runner", "hostbridge/wire", "internal/..."},

	// Backends do not know each other; backends knows them all.
	"osupdate":              {"internal/..."},
	"osupdate/...":          {"osupdate", "osupdate/ostreefamily", "internal/..."},
	"osupdate/auto":         {"osupdate", "osupdate/auto/machine", "osupdate/auto/tell", "osupdate/auto/window", "internal/..."},
	"osupdate/auto/machine": {},
	"osupdate/auto/window":  {},
	"osupdate/auto/tell":    {"osupdate/auto/machine", "internal/..."},
	"osupdate/auto/fleet":   {"osupdate", "osupdate/auto", "osupdate/auto/cincinnati", "osupdate/auto/fleetlock", "osupdate/auto/machine", "internal/..."},
	// Protocols: the standard library alone.
	"osupdate/auto/cincinnati": {},
	"osupdate/auto/fleetlock":  {},

	"osupdate/backends": {"internal/...", "osupdate", "osupdate/abroot", "osupdate/bootc", "osupdate/observe", "osupdate/ostree", "osupdate/rpmostree", "osupdate/sysupdate", "osupdate/transactional"},

	"packages": {"internal/..."},

	"declare":         {"declare/project", "packages", "toolbox", "toolbox/integration", "internal/..."},
	"declare/project": {"internal/..."},
	"declare/convert": {"internal/..."},

	"completion":         {"internal/..."},
	"provision":          {"images", "internal/...", "packages", "toolbox", "toolbox/carry", "toolbox/savefile", "toolbox/savefile/..."},
	"provision/converge": {"declare", "declare/project", "images", "packages", "provision", "toolbox", "internal/..."},

	// Commands do not know each other; full, and main of tbx, put them together.
	"cmd/cli":        {"completion", "declare/project", "toolbox", "toolbox/boxinit", "hostbridge", "osupdate", "profile.d", "internal/..."},
	"cmd/face":       {"internal/..."},
	"cmd/root":       {"cmd/cli", "cmd/face", "hostbridge/client", "internal/..."},
	"cmd/session":    {"cmd/cli", "toolbox", "toolbox/boxinit", "toolbox/integration", "hostbridge", "hostbridge/session", "internal/..."},
	"cmd/bridge":     {"cmd/cli", "toolbox", "toolbox/integration", "toolbox/join", "hostbridge", "internal/..."},
	"cmd/host":       {"completion", "cmd/cli", "toolbox", "osupdate", "osupdate/auto", "osupdate/auto/machine", "osupdate/auto/tell", "osupdate/privileged", "osupdate/backends", "internal/..."},
	"cmd/fetch":      {"completion", "cmd/cli", "packages", "provision", "toolbox", "toolbox/podman", "images/...", "internal/..."},
	"cmd/box":        {"cmd/cli", "cmd/fetch", "provision", "toolbox", "toolbox/integration", "toolbox/savefile", "images", "hostbridge", "internal/..."},
	"cmd/snapshot":   {"completion", "cmd/cli", "cmd/fetch", "toolbox", "internal/..."},
	"cmd/image":      {"cmd/cli", "cmd/fetch", "provision", "toolbox", "images", "images/podman", "internal/..."},
	"cmd/declared":   {"cmd/cli", "cmd/fetch", "declare", "declare/convert", "declare/project", "images", "provision/converge", "toolbox", "internal/..."},
	"cmd/pkg":        {"completion", "cmd/cli", "cmd/fetch", "packages", "toolbox", "internal/..."},
	"cmd/full":       {"completion", "cmd/cli", "cmd/root", "cmd/session", "cmd/bridge", "cmd/host", "cmd/fetch", "cmd/box", "cmd/declared", "cmd/image", "cmd/pkg", "cmd/snapshot", "images", "images/registry", "osupdate", "osupdate/auto/fleet", "osupdate/registry", "internal/..."},
	"cmd/gen":        {"completion", "cmd/cli", "cmd/full", "declare", "osupdate", "osupdate/privileged", "toolbox/integration"},
	"cmd/tbx":        {"cmd/cli", "cmd/root", "cmd/session", "cmd/bridge", "cmd/host", "toolbox", "internal/programs"},
	"cmd/tbx-podman": {"cmd/full", "cmd/root", "internal/programs"},
	"cmd/tbx-box":    {"hostbridge/client", "hostbridge/runner", "internal/inherited", "toolbox/boxinit", "toolbox/carry", "toolbox/helper", "toolbox/treecopy"},

	"tests/...": {"..."},
}

// fits says whether path is what a rule's name stands for.
func fits(path, rule string) bool {
	dir, below := strings.CutSuffix(rule, "...")
	if !below {
		return path == rule
	}
	return strings.HasPrefix(path+"/", dir)
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		path, rule string
		want       bool
	}{
		{"toolbox", "toolbox", true},
		{"toolboxes", "toolbox", false},
		{"toolboxes/x", "toolbox/...", false},
		{"toolbox", "toolbox/...", true},
		{"toolbox/join", "toolbox/...", true},
		{"toolbox/join", "toolbox", false},
		{"anything", "...", true},
	} {
		if got := fits(c.path, c.rule); got != c.want {
			t.Errorf("%s, %s: %v", c.path, c.rule, got)
		}
	}
}

func TestImportsGoOneWay(t *testing.T) {
	all := list(t, "../../...")
	if len(all) < 10 {
		t.Fatalf("only %d packages were found", len(all))
	}
	used := map[string]bool{}
	for _, p := range all {
		path := strings.TrimPrefix(p.ImportPath, module)
		rule := ""
		for of := range mayImport {
			if of == path || rule != path && fits(path, of) && len(of) > len(rule) {
				rule = of
			}
		}
		if rule == "" {
			t.Errorf("%s: there is no rule for it", path)
			continue
		}
		used[rule] = true
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !slices.ContainsFunc(mayImport[rule], func(a string) bool { return fits(ours, a) }) {
				t.Errorf("%s imports %s", path, ours)
			}
			if ok && strings.HasSuffix(ours, "test") && !strings.HasSuffix(path, "test") && !fits(path, "tests/...") {
				t.Errorf("%s imports %s, which is for tests", path, ours)
			}
		}
	}
	for rule := range mayImport {
		if !used[rule] {
			t.Errorf("the rule of %s is of no package", rule)
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
			case strings.HasPrefix(imp, "github.com/spf13/") && !fits(path, "cmd/...") && !fits(path, "tests/..."):
				t.Errorf("%s imports cobra or pflag", path)
			case imp == "github.com/sirupsen/logrus" && !fits(path, "cmd/..."):
				t.Errorf("%s logs by itself", path)
			}
		}
	}
}

// tbx-box is in every toolbox and in every session: the standard library and
// x/sys, and nothing of tbx but its own roles and what makes their messages safe.
func TestWhatTbxBoxIsMadeOf(t *testing.T) {
	roles := []string{"toolbox/boxinit", "toolbox/carry", "toolbox/helper", "toolbox/treecopy", "hostbridge/wire", "hostbridge/client", "hostbridge/runner", "internal/escape", "internal/eintr", "internal/executable", "internal/inherited", "internal/pty", "internal/rights"}
	p := list(t, "../../cmd/tbx-box")[0]
	for _, dep := range p.Deps {
		first, _, _ := strings.Cut(dep, "/")
		ours := slices.Contains(roles, strings.TrimPrefix(dep, module))
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
		if err != nil || d.IsDir() && (rel == "tests" || rel == ".git" || rel == "internal/eintr" || rel == "hostbridge/bridgetest" || rel == "toolbox/helper" || rel == "toolbox/boxinit") {
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
		case dep == "net/http", fits(dep, module+"images/..."), dep == module+"osupdate/registry", dep == module+"toolbox/podman":
			t.Errorf("tbx contains %s", dep)
		}
	}
}
