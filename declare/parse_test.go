package declare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

func parse(t *testing.T, text string) (*File, error) {
	t.Helper()
	return Parse(filepath.Join(t.TempDir(), "tbx.toml"), []byte(text), Caller{Home: "/home/me", User: "me"})
}

func TestParse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "motd"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
enter = "dev"
[vars]
src = "${HOME}/src"

[toolbox.base]
template = true
image = "example.org/a:1"
packages = ["git"]
env = ["A=1", "B=1"]
volumes = ["/x:/data"]
files."/etc/motd" = { text = "old" }

[toolbox.dev]
extends = "base"
release = "13"
distro = "debian"
packages = ["git", "make"]
packages_for = { apk = ["gcc"] }
env = ["B=2", "C=$${D}"]
volumes = ["${src}:/data", "./sub:/sub:ro"]
without = ["x11"]
home = "~/boxes/dev"
setup = ["echo ${NOT_OURS}"]
setup_user = ["true"]
[toolbox.dev.files."/etc/motd"]
source = "motd"
mode = "0755"

[toolbox.other]
extends = "base"
`
	f, err := Parse(filepath.Join(dir, "tbx.toml"), []byte(text), Caller{Home: "/home/me", User: "me"})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Boxes) != 2 || f.Enter != "dev" || f.Boxes[1].Name != "other" {
		t.Fatalf("%+v", f)
	}
	b := f.Boxes[0]
	want := toolbox.CreateOptions{
		Name: "dev", Home: "/home/me/boxes/dev", Declared: f.Path, Without: []string{"x11"},
		Volumes: []string{"/home/me/src:/data", dir + "/sub:/sub:ro"}, Env: []string{"A=1", "B=2", "C=${D}"},
	}
	if !reflect.DeepEqual(b.Options, want) {
		t.Errorf("options %+v", b.Options)
	}
	if (b.Source != Source{Distro: "debian", Release: "13"}) || (f.Boxes[1].Source != Source{Image: "example.org/a:1"}) {
		t.Errorf("sources %+v, %+v", b.Source, f.Boxes[1].Source)
	}
	if !slices.Equal(b.Packages, []string{"git", "make"}) || b.PackagesFor["apk"][0] != "gcc" || b.Line != 14 {
		t.Errorf("%+v", b)
	}
	if in := b.Files[0]; string(in.Content) != "hello" || in.Mode != 0o755 || in.From != dir+"/motd" {
		t.Errorf("file %+v", in)
	}
	if !slices.Equal(b.Setup, []Command{{"echo ${NOT_OURS}", false}, {"true", true}}) || b.Setup[0].Hash() == b.Setup[1].Hash() {
		t.Errorf("setup %+v", b.Setup)
	}
}

// E90: what is wrong is told with its line and, where there is one, what was meant.
func TestE90_BadDeclarations(t *testing.T) {
	deep := "[toolbox.t0]\n"
	for i := 1; i < 40; i++ {
		deep += fmt.Sprintf("[toolbox.t%d]\nextends = \"t%d\"\n", i, i-1)
	}
	for name, c := range map[string]struct{ text, want, hint string }{
		"syntax":      {"[toolbox.a]\nimage = \n", "tbx.toml:2:", ""},
		"key":         {"[toolbox.a]\nvolume = []\n", `:2: there is no key "toolbox.a.volume"`, "volumes"},
		"table":       {"[toolboxes.a]\n", `there is no key "toolboxes`, "toolbox"},
		"type":        {"[toolbox.a]\n\nvolumes = 3\n", ":3: ", ""},
		"nothing":     {"", "no toolbox is declared", "[toolbox.dev]"},
		"NUL":         {"[toolbox.a]\nimage = \"\x00\"\n", ":2: there is a NUL character", ""},
		"escaped NUL": {"[toolbox.a]\nsetup = [\"a\\u0000b\"]\n", ":2: setup: there is a NUL", ""},
		"name":        {"[toolbox.\"a b\"]\n", `:1: toolbox: the name "a b"`, "letters"},
		"odd name":    {"[toolbox.\"../x\"]\n", `cannot be a toolbox's`, ""},
		"no variable": {"[toolbox.a]\nhome = \"${HOMES}\"\n", `:2: home: there is no variable "HOMES"`, "HOME"},
		"environment": {"[toolbox.a]\nimage = \"${PATH}\"\n", `there is no variable "PATH"`, "nothing of the environment"},
		"open":        {"[toolbox.a]\nimage = \"${HOME\"\n", "${ has no }", ""},
		"given":       {"[vars]\nHOME = \"/\"\n[toolbox.a]\n", ":2: the variable HOME is given", ""},
		"itself":      {"[toolbox.a]\nextends = \"b\"\n[toolbox.b]\nextends = \"a\"\n", "a extends b extends a", ""},
		"extends":     {"[toolbox.base]\n[toolbox.a]\nextends = \"bse\"\n", `:3: extends: the file has no toolbox "bse"`, "did you mean base?"},
		"deep":        {deep, "more than 16", ""},
		"two sources": {"[toolbox.a]\nimage = \"x\"\ndistro = \"debian\"\n", "made from two things", ""},
		"without":     {"[toolbox.a]\nwithout = [\"x12\"]\n", ":2: ", "x11"},
		"env":         {"[toolbox.a]\nenv = [\"A\"]\n", `:2: env: "A" is not NAME=VALUE`, ""},
		"package":     {"[toolbox.a]\npackages = [\"--purge\"]\n", ":2: ", ""},
		"manager":     {"[toolbox.a]\n[toolbox.a.packages_for]\natp = [\"x\"]\n", `:3: packages_for: there is no package manager "atp"`, "did you mean apt"},
		"relative":    {"[toolbox.a.files.\"etc/motd\"]\ntext = \"x\"\n", `:1: file "etc/motd": it is no path`, ""},
		"dots":        {"[toolbox.a.files.\"/etc/../x\"]\ntext = \"x\"\n", "it is no path", ""},
		"in home":     {"[toolbox.a.files.\"/home/me/.bashrc\"]\ntext = \"x\"\n", "is not the toolbox's own", "setup_user"},
		"in volume":   {"[toolbox.a]\nvolumes = [\"/x:/etc/x\"]\n[toolbox.a.files.\"/etc/x/y\"]\ntext = \"x\"\n", "is a volume", ""},
		"no content":  {"[toolbox.a.files.\"/etc/x\"]\n", "a text or a source", ""},
		"mode":        {"[toolbox.a.files.\"/etc/x\"]\ntext = \"\"\nmode = \"rwx\"\n", "mode \"rwx\" is none", "0644"},
		"no source":   {"[toolbox.a.files.\"/etc/x\"]\nsource = \"none\"\n", "there is no file", ""},
		"out":         {"[toolbox.a.files.\"/etc/x\"]\nsource = \"../../../../etc/passwd\"\n", "source cannot be read", "stays in the directory"},
		"device":      {"[toolbox.a.files.\"/etc/x\"]\nsource = \"/dev/zero\"\n", "is no regular file", ""},
		"empty setup": {"[toolbox.a]\nsetup = [\" \"]\n", ":2: setup: a command is empty", ""},
		"enter":       {"enter = \"b\"\n[toolbox.a]\n", `:1: enter: the file declares no toolbox "b"`, ""},
		"template":    {"enter = \"a\"\n[toolbox.a]\ntemplate = true\n[toolbox.c]\n", `declares no toolbox "a"`, ""},
		"long":        {"[vars]\na = \"" + strings.Repeat("x", 4000) + "\"\n[toolbox.b]\nimage = \"" + strings.Repeat("${a}", 5000) + "\"\n", "longer than", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, fail.Usage) {
				t.Fatalf("%v", err)
			}
			if hints := strings.Join(fail.Hints(err), "\n"); !strings.Contains(hints, c.hint) {
				t.Errorf("hints of %v: %q", err, hints)
			}
		})
	}
}

// E91: a link in the directory of a declaration may lead anywhere: nobody sees where.
func TestE91_SourceThroughALink(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	secret := filepath.Join(out, "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "innocent")); err != nil {
		t.Fatal(err)
	}
	read := func(source string) error {
		_, err := Parse(filepath.Join(dir, "tbx.toml"), []byte("[toolbox.a.files.\"/etc/x\"]\nsource = \""+source+"\"\n"), Caller{Home: out})
		return err
	}
	if err := read("innocent"); err == nil {
		t.Error("the link was followed")
	}
	if err := read("~/secret"); err != nil {
		t.Error(err)
	}
}

// What can be declared of a toolbox is what its specification has, under the same names.
func TestSettingsAreThoseOfASpecification(t *testing.T) {
	types := func(of reflect.Type) map[string]reflect.Type {
		out := map[string]reflect.Type{}
		for i := range of.NumField() {
			if key, _, _ := strings.Cut(of.Field(i).Tag.Get("toml"), ","); key != "" && key != "-" {
				out[key] = of.Field(i).Type
			}
		}
		return out
	}
	spec, own := types(reflect.TypeFor[toolbox.Spec]()), types(reflect.TypeFor[settings]())
	for _, key := range []string{"version", "id", "created", "image", "image_id", "declared", "adopted"} {
		delete(spec, key)
	}
	if !reflect.DeepEqual(spec, own) {
		t.Errorf("a specification has %v, and a declaration %v", spec, own)
	}
}
