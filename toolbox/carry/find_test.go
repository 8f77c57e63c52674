package carry

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// finding looks for what the user put into one tree, compared with another.
func finding(t *testing.T, o *Order, old, base string) map[string]string {
	t.Helper()
	w := &work{Order: o, owned: map[string]bool{}}
	for i, s := range []**side{&w.old, &w.base, &w.new} {
		var err error
		if *s, err = openSide([]string{old, base, base}[i]); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(w.close)
	o.New, o.Dry = os.Getpid(), true
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	what := map[string]string{}
	for _, f := range w.found {
		what[f.Path] = f.Type + f.Note
	}
	return what
}

// E116: what a package brought, or the image, is not found; what the user put there is, and
// what is nobody else's business is named and left out.
func TestE116_Found(t *testing.T) {
	base := tree(t, map[string]string{
		"etc/same": "1", "etc/mine": "1", "etc/gone": "1", "usr/lib/of-gone": "1", "usr/bin/edited": "1", "root/.profile": "x", "etc/closed/": "",
	})
	old := tree(t, map[string]string{
		"etc/same": "1", "etc/mine": "2", "etc/new": "x", "etc/conf": "P", "etc/conf2": "Q", "usr/bin/tool": "x", "usr/bin/edited": "2",
		"opt/app/f": "x", "opt/app/l": "->f", "opt/closed/f": "x", "etc/key": "x\n-----BEGIN OPENSSH PRIVATE KEY-----\n",
		"etc/proxy": "http://u:p@h/", "etc/noproxy": "http://h:80/@x http://$USER:$PASS@h ssh://git@h", "etc/npmrc": "//r/:_authToken=x",
		"etc/secret": "x", "etc/asked": "x", "etc/closed/f": "x", "root/.profile": "x", "root/.netrc": "x", "home/u/f": "x", "var/cache/f": "x",
		"etc/bad\xff": "x",
	})
	for path, mode := range map[string]os.FileMode{"etc/secret": 0o600, "etc/asked": 0o600, "opt/closed": 0o700, "etc/closed": 0o700} {
		os.Chmod(filepath.Join(old, path), mode)
	}
	if err := unix.Mkfifo(filepath.Join(old, "opt/app/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(old, "opt/app")) // the name of a socket must be short
	l, err := net.Listen("unix", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(here)
	defer l.Close()
	const md5P = "md5:44c29edb103a2872f519ad0c9a0fdaaa" // of P
	o := &Order{
		Skip: []string{"/var/cache/"}, Owned: []string{"/etc/conf", "/etc/conf2", "/bin/tool", "/usr/bin/edited"},
		Defaults: map[string]string{"/etc/conf": md5P, "/etc/conf2": md5P, "/etc/conf3": md5P},
		Find: &Find{
			In: []string{"/"}, Homes: []string{"/root", "/home/u"}, Private: []string{"/etc/asked"},
			WasOwned: []string{"/usr/lib/of-gone", "/usr/bin/edited"},
		},
	}
	want := map[string]string{
		"/etc/mine": "file", "/etc/gone": "removed", "/etc/new": "file", "/etc/conf2": "file", "/etc/conf3": "removed", "/usr/bin/edited": "file",
		"/usr/lib/of-gone": "", "/opt": "directory", "/opt/app": "directory", "/opt/app/f": "file", "/opt/app/l": "link",
		"/opt/app/fifo": "it is a fifo", "/opt/app/s": "it is a socket", "/opt/closed": "only its owner may read what is in it",
		"/etc/key": "there is a private key in it", "/etc/proxy": "there is a password in it, in an address", "/etc/noproxy": "file",
		"/etc/npmrc": "there is a token in it", "/etc/secret": "only its owner may read it", "/etc/asked": "file",
		"/etc/closed/f": "only its owner may read it", "/etc/closed": "directory", "/root": "it is a home", "/home": "directory",
		"/home/u": "it is a home", "/var": "directory", "/etc/bad?": "its name is no UTF-8",
		"/usr/lib": "removed", "/usr/bin": "",
	}
	// /usr/lib is gone as a whole, with what its package had in it.
	got := finding(t, o, old, base)
	for p, what := range want {
		if got[p] != what {
			t.Errorf("%s: %q, want %q", p, got[p], what)
		}
	}
	for p, what := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %q", p, what)
		}
	}
	os.Chmod(filepath.Join(old, "usr"), 0o750)
	if got := finding(t, o, old, base); got["/usr"] != "directory" || got["/usr/bin/edited"] != "only its owner may read it" {
		t.Errorf("of a directory with another mode: %v", got)
	}
	os.Chmod(filepath.Join(old, "usr"), 0o755)
	o.Find.Upgraded = true
	if got := finding(t, o, old, base); got["/usr/bin/edited"] != "" {
		t.Error("a file of a package that was upgraded was taken")
	}
	o.Find = &Find{In: []string{"/etc"}, Only: []string{"/etc/n*"}}
	if got := finding(t, o, old, base); len(got) != 3 || got["/etc/new"] != "file" {
		t.Errorf("only: %v", got)
	}
	o.Find = &Find{Exactly: []string{"/etc/same", "/none", "/opt", "/etc/secret"}}
	if got := finding(t, o, old, base); len(got) != 4 || got["/etc/same"] != "file" || got["/none"] != "removed" || got["/etc/secret"] != "file" {
		t.Errorf("exactly: %v", got)
	}
}

// The same files make the same archive, with modes, links and times.
func TestPack(t *testing.T) {
	old := tree(t, map[string]string{"opt/a": "text", "opt/l": "->a"})
	os.Chmod(filepath.Join(old, "opt/a"), 0o755|os.ModeSetuid)
	pack := func() []byte {
		s, err := openSide(old)
		if err != nil {
			t.Fatal(err)
		}
		w := &work{Order: &Order{New: os.Getpid(), Dry: true, Pack: []string{"/opt", "/opt/a", "/opt/l"}}, old: s, owned: map[string]bool{}}
		defer w.close()
		if err := w.prepare(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := w.pack(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := pack()
	if !bytes.Equal(first, pack()) {
		t.Error("another archive")
	}
	var got []string
	for r := tar.NewReader(bytes.NewReader(first)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %o %s", h.Name, h.Mode, h.Linkname))
	}
	if all := strings.Join(got, "|"); all != "opt/ 755 |opt/a 4755 |opt/l 777 a" {
		t.Error(all)
	}
}
