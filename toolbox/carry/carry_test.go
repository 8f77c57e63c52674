package carry

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// tree makes files of a map from paths to contents; "->" begins a link, and a path that ends
// with "/" is a directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, text := range files {
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch to, link := strings.CutPrefix(text, "->"); {
		case strings.HasSuffix(p, "/"):
			err = os.MkdirAll(full, 0o755)
		case link:
			err = os.Symlink(to, full)
		default:
			err = os.WriteFile(full, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// carried carries out an order on three trees, and returns the new one and what became of what.
func carried(t *testing.T, o *Order, old, base, now map[string]string) (dir string, what map[string]string) {
	t.Helper()
	dirs := []string{tree(t, old), tree(t, base), tree(t, now)}
	w := &work{Order: o, owned: map[string]bool{}}
	for i, s := range []**side{&w.old, &w.base, &w.new} {
		var err error
		if *s, err = openSide(dirs[i]); err != nil {
			t.Fatal(err)
		}
	}
	defer w.close()
	o.New = os.Getpid()
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	what = map[string]string{}
	for _, i := range w.items {
		what[i.Name] = i.What
	}
	return dirs[2], what
}

func read(t *testing.T, dir, p string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, p))
	if err != nil {
		return "none"
	}
	return string(data)
}

// E160: every case of the rule of three.
func TestE160_RuleOfThree(t *testing.T) {
	old := map[string]string{
		"etc/same": "1", "etc/theirs": "1", "etc/mine": "2", "etc/both": "2", "etc/alike": "2", "etc/added": "x", "etc/clash": "x",
		"etc/pkg": "P", "etc/pkgmine": "Q", "etc/dir/a": "a", "etc/link": "->same", "etc/dangling": "->/opt/not", "etc/skipped": "x",
		"etc/unit": "->/dev/null", "etc/sub/mine": "y", "etc/moved": "->/lib/x", "etc/otherlink": "->a",
	}
	base := map[string]string{"etc/same": "1", "etc/theirs": "1", "etc/mine": "1", "etc/both": "1", "etc/alike": "1", "etc/gone": "1", "etc/gonetoo": "1", "etc/sub/theirs": "1"}
	now := map[string]string{
		"etc/same": "1", "etc/theirs": "3", "etc/mine": "1", "etc/both": "3", "etc/alike": "2", "etc/gone": "1", "etc/gonetoo": "3", "etc/clash": "y",
		"etc/pkg": "R", "etc/pkgmine": "P", "etc/sub/theirs": "1", "etc/moved": "->/usr/lib/x", "etc/otherlink": "->b",
	}
	const md5P = "md5:44c29edb103a2872f519ad0c9a0fdaaa" // of P
	o := &Order{Rule: []string{"/etc"}, Skip: []string{"/etc/skip*"}, Defaults: map[string]string{"/etc/pkg": md5P, "/etc/pkgmine": md5P}}
	dir, what := carried(t, o, old, base, now)
	want := map[string]string{
		"/etc/mine": Taken, "/etc/both": Beside, "/etc/added": Taken, "/etc/clash": Beside, "/etc/gone": Removed, "/etc/gonetoo": Stays,
		"/etc/pkgmine": Taken, "/etc/dir": Taken, "/etc/link": Taken, "/etc/dangling": Lost, "/etc/unit": Taken, "/etc/sub/mine": Taken,
		"/etc/sub/theirs": Removed, "/etc/otherlink": Lost,
	}
	if !reflect.DeepEqual(what, want) {
		t.Errorf("got  %v\nwant %v", what, want)
	}
	for p, text := range map[string]string{
		"etc/same": "1", "etc/theirs": "3", "etc/mine": "2", "etc/both": "3", "etc/both.tbx-old": "2", "etc/alike": "2", "etc/added": "x",
		"etc/clash": "y", "etc/clash.tbx-old": "x", "etc/gone": "none", "etc/gonetoo": "3", "etc/pkg": "R", "etc/pkgmine": "Q", "etc/dir/a": "a",
		"etc/link": "1", "etc/skipped": "none", "etc/sub/mine": "y", workDir: "none",
	} {
		if got := read(t, dir, p); got != text {
			t.Errorf("%s: %q, want %q", p, got, text)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, workDir)); err == nil {
		t.Error("the directory that was worked in is left")
	}
}

// E160: a dry run says the same and changes nothing.
func TestE160_Dry(t *testing.T) {
	o := &Order{Dry: true, Rule: []string{"/etc"}, Whole: []string{"/opt"}}
	dir, what := carried(t, o, map[string]string{"etc/a": "2", "opt/x/y": "z"}, map[string]string{"etc/a": "1"}, map[string]string{"etc/a": "1"})
	if what["/etc/a"] != Taken || what["/opt"] != Taken {
		t.Errorf("%v", what)
	}
	if read(t, dir, "etc/a") != "1" || read(t, dir, "opt/x/y") != "none" {
		t.Error("something was changed")
	}
}

// E161: links of a toolbox lead to nothing outside of it, on either side.
func TestE161_LinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &Order{Rule: []string{"/etc"}, Whole: []string{"/opt", "/usr/local"}, Look: true, Read: []string{"/etc/apt/*.list"}}
	old := map[string]string{"opt": "->" + outside, "usr/local/x": "->" + outside + "/secret", "etc/dir": "->../../../../" + outside, "etc/evil/f": "mine", "etc/apt": "->" + outside}
	dir, _ := carried(t, o, old, map[string]string{"usr/local/": ""}, map[string]string{"usr/local/": "", "etc/evil": "->" + outside})
	if got := read(t, outside, "f"); got != "none" {
		t.Errorf("written outside: %q", got)
	}
	for _, p := range []string{"opt/secret", "etc/dir/secret"} {
		if fi, err := os.Lstat(filepath.Join(dir, filepath.Dir(p))); err == nil && fi.IsDir() {
			t.Errorf("%s came along from outside", p)
		}
	}
}

func TestWhole(t *testing.T) {
	old := map[string]string{"opt/a/b": "1", "usr/local/bin/tool": "t", "usr/local/bin/image": "i", "usr/local/share/doc/x": "x", "usr/local/lib/p": "p"}
	base := map[string]string{"usr/local/bin/image": "i"}
	now := map[string]string{"usr/local/bin/image": "j", "usr/local/share/doc/x": "other"}
	dir, what := carried(t, &Order{Whole: []string{"/opt", "/usr/local"}, Owned: []string{"/usr/local/lib/p"}}, old, base, now)
	want := map[string]string{"/opt": Taken, "/usr/local/bin/tool": Taken, "/usr/local/share/doc/x": Beside}
	if !reflect.DeepEqual(what, want) {
		t.Errorf("%v", what)
	}
	if read(t, dir, "usr/local/bin/image") != "j" || read(t, dir, "usr/local/share/doc/x.tbx-old") != "x" {
		t.Error("what is there is not kept")
	}
}

func TestLook(t *testing.T) {
	old := map[string]string{"var/lib/db/1": "1", "usr/lib/node/x": "x", "usr/lib/pkg/y": "y", "usr/bin/made": "m", "opt/x": "x", "tmp/z": "z"}
	base := map[string]string{"var/lib/": "", "usr/lib/": "", "usr/bin/": ""}
	_, what := carried(t, &Order{Look: true, Whole: []string{"/opt"}, Owned: []string{"/usr/lib/pkg", "/usr/lib/pkg/y"}}, old, base, base)
	want := map[string]string{"/var/lib/db": Left, "/usr/lib/node": Left, "/usr/bin/made": Left, "/opt": Taken}
	if !reflect.DeepEqual(what, want) {
		t.Errorf("%v", what)
	}
}

// E162: users and groups come along, with another number where theirs is taken.
func TestE162_Users(t *testing.T) {
	old := map[string]string{
		"etc/passwd":       "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nann:x:1001:1001::/home/ann:/bin/sh\nsvc:x:999:999::/var/lib/svc:/bin/false\n",
		"etc/group":        "root:x:0:\naudio:x:29:ann,me\nann:x:1001:\nsvc:x:999:\n",
		"etc/shadow":       "root:*:1::::::\nann:$y$x:1::::::\n",
		"home/ann/f":       "f",
		"var/lib/svc/data": "d",
	}
	base := map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n", "etc/group": "root:x:0:\naudio:x:29:me\n", "etc/shadow": "root:*:1::::::\n"}
	now := map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nnewd:x:999:999::/:/bin/false\n", "etc/group": "root:x:0:\naudio:x:29:me\nnewd:x:999:\n",
		"etc/shadow": "root:*:1::::::\n",
	}
	dir, what := carried(t, &Order{Users: true}, old, base, now)
	passwd := read(t, dir, "etc/passwd")
	for _, line := range []string{"ann:x:1001:1001::/home/ann:/bin/sh\n", "svc:x:998:998::/var/lib/svc:/bin/false\n"} {
		if !strings.Contains(passwd, line) {
			t.Errorf("%q is not in\n%s", line, passwd)
		}
	}
	if group := read(t, dir, "etc/group"); !strings.Contains(group, "audio:x:29:me,ann\n") || !strings.Contains(group, "svc:x:998:\n") {
		t.Errorf("groups:\n%s", group)
	}
	if shadow := read(t, dir, "etc/shadow"); !strings.Contains(shadow, "ann:$y$x:") {
		t.Errorf("shadow:\n%s", shadow)
	}
	if read(t, dir, "home/ann/f") != "f" || read(t, dir, "var/lib/svc/data") != "d" {
		t.Errorf("homes did not come along: %v", what)
	}
}

func TestReadAndTexts(t *testing.T) {
	dirs := []string{tree(t, map[string]string{"etc/r/a": "1", "etc/r/b": "2"}), tree(t, map[string]string{"etc/r/a": "1", "etc/r/c": "3"}), tree(t, nil)}
	w := &work{Order: &Order{Read: []string{"/etc/r/*"}, Texts: []Text{{Path: "/etc/x/y", Text: "z"}}, New: os.Getpid()}, owned: map[string]bool{}}
	for i, s := range []**side{&w.old, &w.base, &w.new} {
		*s, _ = openSide(dirs[i])
	}
	defer w.close()
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	want := []Text{{"/etc/r/a", "1", false, true}, {"/etc/r/b", "2", false, false}, {"/etc/r/a", "1", true, false}, {"/etc/r/c", "3", true, false}}
	if !reflect.DeepEqual(w.texts, want) {
		t.Errorf("%+v", w.texts)
	}
	if read(t, dirs[2], "etc/x/y") != "z" {
		t.Error("the text was not written")
	}
}

func TestServe(t *testing.T) {
	var out strings.Builder
	if err := Serve(strings.NewReader(`{"old":1,"base":1,"new":0}`), &out); err != nil {
		t.Fatal(err)
	}
	var a Answer
	if err := json.Unmarshal([]byte(out.String()), &a); err != nil || a.Error == "" {
		t.Errorf("%v, %+v", err, a)
	}
	if err := Serve(strings.NewReader(`{`), &out); err == nil {
		t.Error("half an order is taken")
	}
}
