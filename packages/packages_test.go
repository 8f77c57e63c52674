package packages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// said returns what a package manager wrote, of which testdata has recordings: apt 2.6,
// dnf 4.23, dnf5 5.4, zypper 1.14 and pacman 7.0 with a repository of two packages.
func said(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestReadList(t *testing.T) {
	both := func(installed, available string) []Update {
		return []Update{{Name: "dep", Installed: installed, Available: available}, {Name: "hello", Installed: installed, Available: available}}
	}
	same(t, "apt", apt().ReadList(said(t, "apt-list")),
		[]Update{{Name: "dep-t", Installed: "1.0", Available: "2.0", Security: true}, {Name: "hello-t", Installed: "1.0", Available: "2.0"}})
	same(t, "dnf", dnf().ReadList(said(t, "dnf4-list")), both("1.0-1", "2.0-1"))
	same(t, "dnf5", dnf5().ReadList(said(t, "dnf5-list")), both("1.0-1", "2.0-1"))
	same(t, "zypper", zypper().ReadList(said(t, "zypper-list")), both("1.0-1", "2.0-1"))
	same(t, "pacman", pacman().ReadList(said(t, "pacman-list")), []Update{{Name: "hello", Installed: "1.0-1", Available: "2.0-1"}})
	same(t, "zypper, security", patched(said(t, "zypper-security")), map[string]bool{"dep": true})
}

func TestReadSearch(t *testing.T) {
	same(t, "apt", apt().ReadSearch(said(t, "apt-search"), nil),
		[]Package{{"dep-t", "2.0", "What hello-t needs"}, {"hello-t", "2.0", "Says hello"}})
	same(t, "dnf", dnf().ReadSearch(said(t, "dnf4-search"), []string{"HELLO", "dep"}), []Package{{"dep", "2.0-1", "Says hello, dep"}})
	same(t, "dnf5", dnf5().ReadSearch(said(t, "dnf5-search"), []string{"says"}),
		[]Package{{"dep", "2.0-1", "Says hello, dep"}, {"hello", "2.0-1", "Says hello, hello"}})
	same(t, "zypper", zypper().ReadSearch(said(t, "zypper-search"), nil), []Package{{"hello", "", "Says hello, hello"}})
	same(t, "pacman", pacman().ReadSearch(said(t, "pacman-search"), nil),
		[]Package{{"dep", "1.0-1", "Says hello, dep"}, {"hello", "1.0-1", "Says hello, hello"}})
}

func TestReadManual(t *testing.T) {
	both := []string{"dep", "hello"}
	same(t, "dnf", dnf().ReadManual(said(t, "dnf4-manual")), both)
	same(t, "dnf5", dnf5().ReadManual(said(t, "dnf5-manual")), both)
	same(t, "zypper", zypper().ReadManual(said(t, "zypper-manual")), both)
}

func TestKeptFiles(t *testing.T) {
	same(t, "apt", apt().Kept(said(t, "apt-kept")), []string{"/etc/hello-t.conf"})
	same(t, "dnf", dnf().Kept(said(t, "dnf4-kept")), []string{"/etc/hello.conf"})
	same(t, "dnf5", dnf5().Kept(said(t, "dnf5-kept")), []string{"/etc/hello.conf"})
	same(t, "pacman", pacman().Kept(said(t, "pacman-kept")), []string{"/etc/hello.conf"})
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		m    *Manager
		file string
		want error
	}{
		{apt(), "apt-missing", fail.NotFound}, {dnf(), "dnf4-missing", fail.NotFound}, {dnf5(), "dnf5-missing", fail.NotFound},
		{zypper(), "zypper-missing", fail.NotFound}, {pacman(), "pacman-missing", fail.NotFound}, {pacman(), "pacman-locked", ErrLocked},
		{apt(), "apt-list", nil}, {dnf(), "dnf4-kept", nil}, {dnf5(), "dnf5-kept", nil}, {pacman(), "pacman-kept", nil},
	} {
		if got := c.m.kindOf(said(t, c.file)); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.file, got, c.want)
		}
	}
}

// E76: dnf ends with 0 where a repository is gone, and goes on without it.
func TestE76_RepositoryGone(t *testing.T) {
	for m, file := range map[*Manager]string{apt(): "apt-gone", dnf(): "dnf4-gone", dnf5(): "dnf5-gone", zypper(): "zypper-gone", pacman(): "pacman-gone"} {
		if got := m.kindOf(said(t, file)); !errors.Is(got, ErrFetch) {
			t.Errorf("%s: %v", file, got)
		}
		s := &System{Manager: m, run: answers(said(t, file), 0)}
		if err := s.Refreshed(t.Context()); len(m.Refresh) > 0 && !errors.Is(err, ErrFetch) {
			t.Errorf("%s with exit code 0: %v", file, err)
		}
	}
}

// answers is a Runner whose command has written text: that of a recording.
func answers(text string, code int) Runner {
	return func(_ context.Context, _ Command, out, _ io.Writer) (int, error) {
		io.WriteString(out, text)
		return code, nil
	}
}

// E78: what is cut at any byte, in another form, or hostile is read as far as it can be.
func TestE78_HostileOutput(t *testing.T) {
	files, _ := filepath.Glob("testdata/*")
	if len(files) < 20 {
		t.Fatalf("there are %d recordings only", len(files))
	}
	bad := []string{"", "\n\n", "\x00\xff\xfe", strings.Repeat("Inst ", 1000), "Inst a [1] (", "<?xml version='1.0'?><stream><update-status>", "--\n", "a -> b", "x/ y\n    z", "Package: \x1b[31m\nVersion: 1"}
	for _, f := range files {
		text := said(t, filepath.Base(f))
		for cut := 0; cut < len(text); cut += 53 {
			bad = append(bad, text[:cut])
		}
	}
	for _, m := range Managers() {
		for _, text := range bad {
			for _, u := range m.ReadList(text) {
				if u.Name == "" || u.Available == "" {
					t.Errorf("%s: %+v of %.60q", m.Name, u, text)
				}
			}
			for _, p := range m.ReadSearch(text, nil) {
				if p.Name == "" {
					t.Errorf("%s: %+v of %.60q", m.Name, p, text)
				}
			}
			m.ReadManual(text)
			m.kindOf(text)
			if m.Kept != nil {
				m.Kept(text)
			}
		}
	}
}

// E70: names that a package manager would take for something else.
func TestE70_Names(t *testing.T) {
	for _, n := range []string{"", "-x", "--", "vim-", "a b", "a\nb", "*", "a*", "!a", "^a", "a$", "a>1", "a<1", "[a]", "a;b", "$(a)", "a\x00", ".", "/", "é", strings.Repeat("a", 300)} {
		if err := CheckNames([]string{"good", n}); !errors.Is(err, fail.Usage) {
			t.Errorf("%q: %v", n, err)
		}
	}
	if err := CheckNames([]string{"g++", "libstdc++6", "python3.11", "vim=2:9.0-1~x", "libc6:i386", "a/stable", "foo@edge", "R-core_1"}); err != nil {
		t.Error(err)
	}
	for _, w := range []string{"", "-x", "a\nb"} {
		if _, err := (&System{Manager: apt()}).Find(t.Context(), []string{w}); !errors.Is(err, fail.Usage) {
			t.Errorf("search for %q: %v", w, err)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct{ have, id, like, want string }{
		{"apt-get apt-cache apt-mark dpkg", "debian", "", "apt"},
		{"apt-get apt-cache apt-mark dpkg rpm dnf zypper pacman", "linuxmint", "ubuntu debian", "apt"},
		{"apt-get apt-cache apt-mark dpkg rpm dnf zypper pacman", "opensuse-leap", "suse opensuse", "zypper"},
		{"dnf dnf5 rpm", "fedora", "", "dnf5"},
		{"dnf rpm", "rhel", "fedora", "dnf"},
		{"pacman", "manjaro", "arch", "pacman"},
		{"apk", "", "", "apk"},
		{"apt-get dpkg", "debian", "", ""}, // not all that is needed
		{"", "debian", "", ""},
	} {
		got := ""
		if m := detect(strings.Fields(c.have), map[string]string{"ID": c.id, "ID_LIKE": c.like}); m != nil {
			got = m.Name
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// here runs commands on this machine.
func here(ctx context.Context, c Command, out, errs io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// E72: who says nothing is ended; who says something is not.
func TestE72_Silence(t *testing.T) {
	s := &System{Manager: &Manager{Name: "sh"}, run: here, Silence: 300 * time.Millisecond}
	_, err := s.do(t.Context(), "wait", []string{"sh", "-c", "echo asking; exec sleep 60"})
	if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "asking") {
		t.Errorf("%v", err)
	}
	s.Silence = 5 * time.Second
	if _, err := s.do(t.Context(), "count", []string{"sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.1; done"}); err != nil {
		t.Error(err)
	}
}

// E78: a line of one stream is not torn by the other's.
func TestE78_TornLines(t *testing.T) {
	s := &System{Manager: apt(), run: func(_ context.Context, _ Command, out, errs io.Writer) (int, error) {
		io.WriteString(out, "Building dependency tree...")
		io.WriteString(errs, "E: Unable to locate package x\n")
		io.WriteString(out, "\nReading state information...")
		return 100, nil
	}}
	_, err := s.do(t.Context(), "install x", []string{"apt-get"})
	if !errors.Is(err, fail.NotFound) || !strings.HasSuffix(err.Error(), "E: Unable to locate package x") {
		t.Error(err)
	}
}

// E73: a lock that another holds is waited for.
func TestE73_Lock(t *testing.T) {
	calls := 0
	s := &System{Manager: pacman(), Silence: time.Minute, run: func(_ context.Context, _ Command, out, _ io.Writer) (int, error) {
		if calls++; calls < 2 {
			io.WriteString(out, said(t, "pacman-locked"))
			return 1, nil
		}
		return 0, nil
	}}
	if _, err := s.do(t.Context(), "upgrade", s.Upgrade); err != nil || calls != 2 {
		t.Errorf("%d calls: %v", calls, err)
	}
}

// E77: a release is over the day after its last, and never because it is not known.
func TestE77_Releases(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		id, version, end string
		over             bool
	}{
		{"debian", "12", "", false}, {"debian", "10", "", true}, {"ubuntu", "20.04", "", true}, {"alpine", "3.20.3", "", true},
		{"alpine", "3.22.1", "", false}, {"fedora", "41", "2025-12-15", true}, {"fedora", "44", "2027-05-01", false},
		{"arch", "", "", false}, {"strange", "1", "not a date", false}, {"debian", "12", "2026-11-30", false}, {"debian", "12", "2026-11-29", true},
	} {
		os := map[string]string{"ID": c.id, "VERSION_ID": c.version}
		if c.end != "" {
			os["SUPPORT_END"] = c.end
		}
		if r := ReleaseOf(os, now); r.Over != c.over {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	for key, day := range supportEnds {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// E77: a system without a shell, or without a package manager.
func TestE77_NoManager(t *testing.T) {
	if _, err := Open(t.Context(), answers("", 127)); !errors.Is(err, fail.Unable) {
		t.Error(err)
	}
	if _, err := Open(t.Context(), answers("--\nID=x\n", 0)); !errors.Is(err, fail.Unable) {
		t.Error(err)
	}
	var script bytes.Buffer
	s, err := Open(t.Context(), func(ctx context.Context, c Command, out, errs io.Writer) (int, error) {
		script.WriteString(strings.Join(c.Args, " "))
		return here(ctx, Command{Args: append(c.Args[:4:4], "sh", "none-such")}, out, errs)
	})
	if s != nil || !errors.Is(err, fail.Unable) || !strings.Contains(script.String(), "apt-get") {
		t.Errorf("%v, %v", s, err)
	}
}
