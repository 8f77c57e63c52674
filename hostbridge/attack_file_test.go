package hostbridge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

// opener is a bridge whose host opens files with a program that notes its arguments,
// after a question if ask is set.
func opener(t *testing.T, ask string) (b *bridgetest.Bridge, opened func() string) {
	t.Helper()
	b = bridgetest.Local(t, func(c *bridgetest.Config) {
		c.Path, c.Ask = c.Root+"/bin:"+hostbridge.SystemPath, ask
	})
	fakeOpener(t, b.Local, "xdg-open")
	if ask != "" {
		b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nverb = \"open-file\"\naction = \"ask\"\n")
	}
	file := filepath.Join(b.Local.Config.Root, "opened")
	return b, func() string {
		got, _ := os.ReadFile(file)
		os.Remove(file)
		return strings.TrimSuffix(string(got), "\n")
	}
}

func put(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// The owner is asked about the very file, by its name without links, the log has
// that name, and the opener is given no other.
func TestB17_QuestionNamesTheFile(t *testing.T) {
	t.Parallel()
	b, opened := opener(t, "yes")
	doc := put(t, filepath.Join(b.Shared, "other.pdf"), "text", 0o600)
	link := filepath.Join(b.Shared, "report.pdf")
	os.Symlink("other.pdf", link)
	b.Output(t, "--verb", "open-file", "report.pdf")
	q := b.Local.Questions()
	if len(q) != 1 || q[0].What != "open-file "+doc || q[0].Note != "which the toolbox calls "+link {
		t.Errorf("asked %+v", q)
	}
	if got := opened(); got != doc {
		t.Errorf("opened %q", got)
	}
	if rec := b.Local.Audit()[0]; rec.File != doc {
		t.Errorf("logged %+v", rec)
	}
}

// What is run by being opened is not opened, whatever it is called, and nobody is
// asked about it.
func TestB17_OpeningRunsNothing(t *testing.T) {
	t.Parallel()
	b, opened := opener(t, "yes")
	dir := b.Shared
	for _, name := range []string{"evil.desktop", "EVIL.DeskTop", "x.AppImage", "x.jar", "x.exe", "x.sh", "x.flatpakref", "x.desktop. "} {
		b.Local.RestartAgent()
		put(t, filepath.Join(dir, name), "text", 0o600)
		link := filepath.Join(dir, "report.pdf")
		os.Remove(link)
		os.Symlink(name, link)
		for _, path := range []string{filepath.Join(dir, name), link} {
			if msg := b.Refused(t, 126, "--verb", "open-file", path); !strings.Contains(msg, "run") {
				t.Errorf("%s: %s", path, msg)
			}
		}
	}
	b.Refused(t, 126, "--verb", "open-file", put(t, filepath.Join(dir, "program"), "x", 0o700))
	if q := b.Local.Questions(); len(q) != 0 {
		t.Errorf("asked %+v", q)
	}
	b.Local.RestartAgent()            // it opens 20 files at once
	b.Local.WritePolicy("1.toml", "") // what it holds is looked at last
	for name, text := range map[string]string{"noend": "[Desktop Entry]\nExec=id\n", "picture.png": "\x7fELF...", "letter.odt": "#!/bin/sh\n", "d": "\n\n# x\n[Desktop Entry]\n"} {
		if msg := b.Refused(t, 126, "--verb", "open-file", put(t, filepath.Join(dir, name), text, 0o600)); !strings.Contains(msg, "program") {
			t.Errorf("%s: %s", name, msg)
		}
	}
	if got := opened(); got != "" {
		t.Errorf("opened %q", got)
	}
	// The counterpart: these are documents.
	for name, text := range map[string]string{"a.pdf": "%PDF-1.7 [Desktop", "empty": "", "a b\tc.txt": "text"} {
		doc := put(t, filepath.Join(dir, name), text, 0o600)
		if b.Output(t, "--verb", "open-file", doc); opened() != doc {
			t.Errorf("%q was not opened", name)
		}
	}
	if b.Output(t, "--verb", "open-file", dir); opened() != dir {
		t.Error("the directory was not opened")
	}
}

func TestB17_NoFile(t *testing.T) {
	t.Parallel()
	b, opened := opener(t, "")
	fifo := filepath.Join(b.Shared, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", b.Shared + "/none", "/proc/self/exe", "/proc/self/fd/0"} {
		b.Refused(t, 125, "--verb", "open-file", path)
	}
	if got := opened(); got != "" {
		t.Errorf("opened %q", got)
	}
}

// The file, or a directory on its way, is another one when the owner has answered.
func TestB17_SwappedWhileTheOwnerThinks(t *testing.T) {
	t.Parallel()
	for name, swap := range map[string]func(dir, doc, secret string) error{
		"another file": func(_, doc, secret string) error { return os.Rename(secret, doc) },
		"a link": func(_, doc, secret string) error {
			os.Remove(doc)
			return os.Symlink(secret, doc)
		},
		"a link to the same file": func(dir, doc, _ string) error {
			os.Rename(doc, doc+".desktop")
			return os.Symlink(doc+".desktop", doc)
		},
		"a directory on the way": func(dir, _, _ string) error {
			os.Rename(dir+"/sub", dir+"/was")
			return os.Symlink("was", dir+"/sub")
		},
		"nothing": func(_, doc, _ string) error { return os.Remove(doc) },
	} {
		b, opened := opener(t, "")
		b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nverb = \"open-file\"\naction = \"ask\"\n")
		os.Mkdir(b.Shared+"/sub", 0o700)
		doc := put(t, b.Shared+"/sub/doc.pdf", "text", 0o600)
		secret := put(t, b.Shared+"/secret", "secret", 0o600)
		asked := false
		go hostbridge.Prompt(t.Context(), b.Local.Config.Dir(), func(q hostbridge.Question) bool {
			asked = true
			if err := swap(b.Shared, doc, secret); err != nil {
				t.Error(err)
			}
			return true
		})
		bridgetest.Eventually(t, "the question is put", func() bool {
			out, _ := b.Client("--verb", "open-file", doc).CombinedOutput()
			return !strings.Contains(string(out), "nobody can be asked")
		})
		if got := opened(); got != "" || !asked {
			t.Errorf("%s: asked %v, opened %q", name, asked, got)
		}
	}
}

// A program inside exchanges a document for a link to a secret without pause, while
// it asks for it to be opened: whatever comes first, the host is never given more
// than the document's name, and only if that was the document.
func TestB17_ExchangedWithoutPause(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		share := filepath.Join(c.Root, "share")
		c.Path, c.Box.Isolated, c.Box.Shares = c.Root+"/bin:"+hostbridge.SystemPath, true, []hostbridge.Share{{Host: share, Box: share}}
	})
	fakeOpener(t, b.Local, "xdg-open")
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nverb = \"open-file\"\naction = \"allow\"\n")
	log := filepath.Join(b.Local.Config.Root, "opened")
	bin := filepath.Join(b.Local.Config.Root, "bin", "xdg-open")
	put(t, bin, "#!/bin/sh\nprintf '%s\\n' \"$@\" >> "+log+"\n", 0o755)
	doc := put(t, b.Shared+"/doc.pdf", "text", 0o600)
	secret := put(t, b.Local.Config.Root+"/id_rsa", "secret", 0o600)
	link := b.Shared + "/evil"
	os.Symlink(secret, link)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, doc, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 15 { // of 20 that a toolbox may have opened at once
		b.Client("--verb", "open-file", doc).Run()
	}
	close(stop)
	<-done
	got, _ := os.ReadFile(log)
	if i := slices.IndexFunc(strings.Fields(string(got)), func(name string) bool { return name != doc && name != link }); i >= 0 {
		t.Errorf("opened %q", got)
	}
}

// The descriptor that the toolbox sends is of the file that the name leads to.
func TestB17_OpenFileByDescriptor(t *testing.T) {
	t.Parallel()
	b, opened := opener(t, "")
	doc := put(t, b.Shared+"/doc.txt", "x", 0o600)
	secret := put(t, b.Local.Config.Root+"/secret", "x", 0o600)
	b.Output(t, "--verb", "open-file", doc)
	if got := opened(); got != doc {
		t.Errorf("opened %q", got)
	}
	link := filepath.Join(b.Shared, "link")
	os.Symlink("doc.txt", link)
	b.Output(t, "--verb", "open-file", "link")
	if got := opened(); got != doc {
		t.Errorf("by a symlink: opened %q", got)
	}
	fd := dial(t, b.Local)
	s := wire.Start{Flags: wire.FlagVerb | wire.FlagFile, Token: token(t, b.Local), Cwd: "/", Argv: []string{"open-file", link}}
	frames, _ := s.Frames()
	passed := open(t, link, unix.O_PATH)
	os.Remove(link)
	os.Symlink(secret, link)
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	send(t, fd, frames[0])
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd, passed)
	if f := answer(t, fd); f.Type != wire.TypeError {
		t.Errorf("swapped symlink: frame of type %d", f.Type)
	}
	if got := opened(); got != "" {
		t.Errorf("opened %q", got)
	}
}

// Links in a share that lead out of it tell an isolated toolbox nothing of the host:
// the answer is the same whether there is something, and what.
func TestB17_LinksOutOfAShareTellNothing(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		share := filepath.Join(c.Root, "share")
		c.Box.Isolated, c.Ask, c.Box.Shares = true, "yes", []hostbridge.Share{{Host: share, Box: share}}
	})
	link := filepath.Join(b.Shared, "link")
	said := map[string]bool{}
	for _, to := range []string{"/etc/passwd", "/nowhere", "/etc/shadow", "/proc/self/exe", "/proc/self/cwd", "/proc/1/root/etc", "../run", "../none", b.Local.Config.Root, "/usr/bin/env"} {
		os.Remove(link)
		os.Symlink(to, link)
		cmd := b.Client("--verb", "open-file", "link")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() == 0 {
			t.Errorf("%s was opened", to)
		}
		if said[string(out)] = true; strings.Contains(string(out), "link: ") { // the client's own, of what the toolbox sees
			delete(said, string(out))
		}
	}
	if len(said) != 1 {
		t.Errorf("answers that differ: %v", said)
	}
	for _, r := range b.Local.Audit() {
		if r.File != "" {
			t.Errorf("logged %+v", r)
		}
	}
}

// A share that was exchanged for a link since the toolbox had it mounted is none: what is
// opened by its name is not what is seen inside.
func TestB50_ShareThatIsALinkNow(t *testing.T) {
	share := ""
	b := bridgetest.Local(t, func(c *bridgetest.Config) {
		share = filepath.Join(c.Root, "share")
		c.Box.Isolated, c.Ask, c.Box.Shares = true, "yes", []hostbridge.Share{{Host: share, Box: share}}
	})
	other := filepath.Join(filepath.Dir(share), "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, share+"/report.pdf", "shared", 0o600)
	put(t, other+"/report.pdf", "not shared", 0o600)
	out, err := b.Client("--verb", "open-file", share+"/report.pdf").CombinedOutput()
	if strings.Contains(string(out), "this file is not shared with the host") {
		t.Fatalf("as it was: %v\n%s", err, out)
	}
	if err := os.Rename(share, share+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, share); err != nil {
		t.Fatal(err)
	}
	if out, err := b.Client("--verb", "open-file", share+"/report.pdf").CombinedOutput(); err == nil || !strings.Contains(string(out), "this file is not shared with the host") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, r := range b.Local.Audit() {
		if strings.HasPrefix(r.File, other) {
			t.Errorf("logged %+v", r)
		}
	}
}

// An answer for good is for the file, not for a name that leads to another one later.
func TestB17_AnswerIsForTheFile(t *testing.T) {
	t.Parallel()
	for _, remember := range []string{"session", "always"} {
		b, opened := opener(t, "yes")
		b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nverb = \"open-file\"\naction = \"ask\"\nremember = \""+remember+"\"\n")
		one := put(t, b.Shared+"/one.pdf", "1", 0o600)
		two := put(t, b.Shared+"/two.pdf", "2", 0o600)
		link := b.Shared + "/link.pdf"
		os.Symlink("one.pdf", link)
		for _, step := range []struct {
			name, file string
			asked      int
		}{{link, one, 1}, {link, one, 0}, {one, one, 0}, {two, two, 1}} {
			if b.Output(t, "--verb", "open-file", step.name); opened() != step.file {
				t.Errorf("%s: %s was not opened", remember, step.file)
			}
			if q := b.Local.Questions(); len(q) != step.asked {
				t.Errorf("%s, %s: asked %+v", remember, step.name, q)
			}
		}
		os.Remove(link)
		third := put(t, b.Shared+"/three.pdf", "3", 0o600)
		os.Symlink("three.pdf", link)
		b.Output(t, "--verb", "open-file", link)
		if q := b.Local.Questions(); len(q) != 1 || q[0].What != "open-file "+third {
			t.Errorf("%s: the link leads elsewhere, asked %+v", remember, q)
		}
	}
}
