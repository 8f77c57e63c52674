package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// destructive is what a hint may not propose, unless it is listed below with a reason:
// it ends programs, or takes away what somebody may have nowhere else.
var destructive = regexp.MustCompile(`\b(p?kill(all)?\s+-|pkill\b|tbx rm\b|rm -r|podman (system (reset|migrate|prune)|rm|volume rm|rmi|image rm)|[Rr]emove the (image|toolbox)\b)`)

// allowed are parts of texts that may propose it, and why.
var allowed = map[string]string{
	"stop toolboxes with tbx stop or tbx rm, not with podman": "says by which program, to who wants to",
	"or remove it with: tbx rm %s":                            "create with a name that is taken: entering it is proposed first",
	"or remove it as it is with: tbx rm --force %s":           "the call was rm",
	"then: tbx rm %s":                     "the call was rm, which could not finish",
	"or forget it with: tbx rm %s":        "there is no container any more: nothing is lost",
	"remove it with: podman volume rm %s": "the call was rm, which could not finish",
	"what podman itself proposes stops all containers that it still has: podman system migrate":       "podman's own proposal, said with what it does, where no container was found",
	"podman (%s) cannot find its own processes, and podman system migrate failed":                     "says what was done",
	"all processes of your containers and podman's own had ended; podman system migrate has repaired": "says what was done",
	"let it go on with: kill -CONT %d":                             "ends nothing",
	"end it, and the next tbx enter starts another: kill -KILL %d": "the agent of the bridge, proven to hold its socket; commands go on and the next call starts another",
	"Remove packages from a toolbox with its own package manager, and the packages that need\nthem. tbx shows all of them, and asks. To remove a toolbox: tbx rm.": "the command is called remove, and so was that of toolboxes",
	"  tbx rm build\n  tbx rm --force build test": "an example of a command's page",
	"rm -rf /var/lib/apt/lists/*":                 "a line of a Containerfile: what the package manager downloaded",
	"rm -rf /var/cache/pacman/pkg/*":              "the same",
	"rm -rf -- \\\n        ":                      "a line of a Containerfile: files that the toolbox has not",
	"rm -rf ":                                     "the same: packages that were installed",
	"tbx rm ":                                     "image rm: which containers are in the way",
	"podman rm --force ":                          "the same, of a build that ended",
	"podman rm ":                                  "the same",
	"toolbox, see tbx rm.":                        "a command's page",
}

// D11: no text of tbx's proposes to end or remove something where it was not asked to.
func TestD11_NoDeadlyHints(t *testing.T) {
	used := map[string]bool{}
	looked := 0
	for _, top := range []string{"cmd", "toolbox", "images", "hostbridge", "osupdate", "provision", "internal"} {
		err := filepath.WalkDir("../../"+top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "osupdatetest/") || strings.Contains(path, "bridgetest/") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				looked++
				if err == nil && destructive.MatchString(text) && !permitted(text, used) {
					t.Errorf("%s proposes: %s", path, text)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for text := range allowed {
		if !used[text] {
			t.Errorf("nothing says %q any more: take it off the list", text)
		}
	}
	if looked < 1000 {
		t.Errorf("%d texts", looked)
	}
}

// permitted looks for the longest entry first in effect: any will do.
func permitted(text string, used map[string]bool) bool {
	found := false
	for part := range allowed {
		if strings.Contains(text, part) && (len(part) > 12 || text == part) {
			used[part], found = true, true
		}
	}
	return found
}
