package provision

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// E117: names in a toolbox are no instructions of a Containerfile and no words of a shell.
func TestE117_Names(t *testing.T) {
	f := &freezing{shell: true, request: &FreezeRequest{}, lock: &Frozen{Image: FrozenImage{Reference: "localhost/x:1\nRUN bad"}}}
	passwd := "root:x:0:0::/root:/bin/sh\nfine:x:7:7:it's $(id):/:/bin/sh\nev/il:x:8:8::/:/bin/sh\nwas:x:9:9::/:/bin/sh\nslash:x:5:5:\\:/:/bin/sh\n"
	f.lookAtAccounts([]carry.Text{
		{Path: "/etc/passwd", Text: passwd}, {Path: "/etc/passwd", Text: "root:x:0:0::/root:/bin/sh\nwas:x:9:9::/:/bin/sh\n", Base: true},
		{Path: "/etc/group", Text: "audio:x:29:fine,a/e id\n"}, {Path: "/etc/group", Text: "audio:x:29:\n", Base: true},
	})
	f.take([]carry.Found{
		{Path: "/etc/a\nRUN bad", Type: carry.TypeRemoved}, {Path: "/etc/it's; id", Type: carry.TypeRemoved}, {Path: "/etc/<<EOF", Type: carry.TypeRemoved},
		{Path: `/etc/end\`, Type: carry.TypeRemoved},
	}, &f.files)
	text := f.containerfile()
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "RUN bad") || strings.Contains(line, "<<EOF") || strings.Contains(line, "a/e id") || strings.Contains(line, "ev/il") {
			t.Errorf("%q", line)
		}
	}
	for _, part := range []string{`'fine:x:7:7:it'\''s $(id):/:/bin/sh'`, `'/etc/it'\''s; id'`, "s/$/,fine/", "FROM localhost/x:1RUNbad\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in\n%s", part, text)
		}
	}
	if strings.Contains(text, "was:") {
		t.Error("a user of the image is added")
	}
	if len(f.lock.LeftOut) != 5 {
		t.Errorf("left out: %q", f.lock.LeftOut)
	}
}

// What a directory has of its own stays; what an earlier freeze wrote goes with the next.
func TestFrozenDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("README")
	write(packagesTar)
	write(lockFile)
	if _, err := openFrozenDir(dir, func([]string) error { return fail.New(fail.Canceled, "no") }); !errors.Is(err, fail.Canceled) {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".tbx-freeze"), 0o700); err != nil { // of one that was killed
		t.Fatal(err)
	}
	var asked []string
	d, err := openFrozenDir(dir, func(names []string) error { asked = names; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(asked, []string{packagesTar, lockFile}) {
		t.Error(asked)
	}
	f := &freezing{dir: d, lock: &Frozen{}, request: &FreezeRequest{}}
	if err := f.write(); err != nil {
		t.Fatal(err)
	}
	d.close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{containerfile, "README", lockFile}) {
		t.Error(names)
	}
	fresh := filepath.Join(dir, "new")
	if d, err = openFrozenDir(fresh, nil); err != nil {
		t.Fatal(err)
	}
	d.close()
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a directory in which nothing was written is left")
	}
}

// What differs is named.
func TestSamePackages(t *testing.T) {
	want := &Frozen{Packages: map[string]string{"a": "1", "b": "1", "c": "1"}, Asked: []string{"a"}, Held: []string{"b"}}
	is := &Frozen{Packages: map[string]string{"a": "1", "b": "2", "d": "1"}, Asked: []string{"a", "d"}}
	got := samePackages(want, is)
	if !reflect.DeepEqual(got, []string{
		"package b is 2, and was 1", "package c is not there", "package d is there, and was not", "package that was asked for d was not one",
		"held package b is not one",
	}) {
		t.Errorf("%q", got)
	}
}

// A repository's address is kept without who logs in there.
func TestRepositoryLines(t *testing.T) {
	got := repositoryLines("# http://no\n\ndeb https://me:pw@h/x s m\nURIs: file:/srv/repo\npassword = x\nProxy_Password=x\n")
	if !reflect.DeepEqual(got, []string{"deb https://…@h/x s m", "URIs: file:/srv/repo", "password =…", "Proxy_Password=…"}) {
		t.Errorf("%q", got)
	}
	if dirs := directoriesIn(append(got, "baseurl=file:///opt/r/", "deb file:/ x")); !reflect.DeepEqual(dirs, []string{"/opt/r", "/srv/repo"}) {
		t.Errorf("%q", dirs)
	}
}
