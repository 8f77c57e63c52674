package hostbridge

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What was allowed to a toolbox goes with it, and nothing else does.
func TestB28_RulesGoWithTheToolbox(t *testing.T) {
	d := PolicyDirs{User: filepath.Join(t.TempDir(), "p")}
	if gone, err := d.Forget("cell"); err != nil || len(gone) != 0 {
		t.Fatalf("without any policy: %v %v", gone, err)
	}
	allow := func(box string, args ...string) {
		t.Helper()
		if _, err := d.Prepend(Rule{Box: box, Exec: "id", Args: args, Action: Allow}); err != nil {
			t.Fatal(err)
		}
	}
	allow("cell", "box = \"other\"\n[[rule]]") // an argument that looks like a rule
	allow("other")
	allow("cell", "-u")
	allow("cell*")
	allow("@any", "-g")
	own := filepath.Join(d.User, ownRules)
	text, _ := os.ReadFile(own)
	os.WriteFile(own, append([]byte("# mine\n"), text...), 0o600)
	if err := os.WriteFile(filepath.Join(d.User, "50.toml"), []byte("[[rule]]\nbox = \"cell\"\nexec = \"ls\"\naction = \"ask\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	boxes := func() string {
		p, err := d.Load()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range p.Rules {
			if !r.Builtin() {
				out = append(out, r.Box+" "+strings.Join(r.Args, ","))
			}
		}
		return strings.Join(out, "; ")
	}
	if moved, err := d.Rename("cell", "other"); moved != 2 || err != nil {
		t.Errorf("%d are moved, %v", moved, err)
	}
	if got, want := boxes(), "@any -g; cell* ; other -u; other box = \"other\"\n[[rule]]; cell "; got != want {
		t.Errorf("renamed: %q", got)
	}
	gone, err := d.Forget("other")
	if err != nil || len(gone) != 2 || gone[0].Args[0] != "-u" {
		t.Errorf("%+v %v", gone, err)
	}
	if got := boxes(); got != "@any -g; cell* ; cell " {
		t.Errorf("removed: %q", got)
	}
	if text, _ := os.ReadFile(own); !strings.HasPrefix(string(text), "# mine\n") {
		t.Errorf("%s", text)
	}
	if left, err := d.Granted("cell"); err != nil || len(left) != 1 || left[0].Exec != "ls" {
		t.Errorf("%+v %v", left, err)
	}
}

// Answers that are remembered at the same time are all written.
func TestB20_RulesWrittenAtTheSameTime(t *testing.T) {
	d := PolicyDirs{User: filepath.Join(t.TempDir(), "p")}
	const n = 30
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			if _, err := d.Prepend(Rule{Box: "b" + strings.Repeat("x", i), Exec: "id", Action: Allow}); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	p, err := d.Load()
	own := 0
	for _, r := range p.Rules {
		if !r.Builtin() {
			own++
		}
	}
	if own != n || err != nil {
		t.Errorf("%d rules of %d, %v", own, n, err)
	}
}
