package hostbridge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

func TestB17_OpenFileByDescriptor(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	opened := filepath.Join(b.Local.Config.Root, "opened")
	doc := filepath.Join(b.Shared, "doc.txt")
	secret := filepath.Join(b.Local.Config.Root, "secret")
	for _, f := range []string{doc, secret} {
		os.WriteFile(f, []byte("x"), 0o600)
	}
	fifo := filepath.Join(b.Shared, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Output(t, "--verb", "open-file", doc)
	if got, _ := os.ReadFile(opened); string(got) != doc+"\n" {
		t.Errorf("opened %q", got)
	}
	link := filepath.Join(b.Shared, "link")
	os.Symlink("doc.txt", link)
	b.Output(t, "--verb", "open-file", "link")
	if got, _ := os.ReadFile(opened); string(got) != doc+"\n" {
		t.Errorf("by a symlink: opened %q", got)
	}
	for _, path := range []string{fifo, "/dev/zero"} {
		b.Refused(t, 125, "--verb", "open-file", path)
	}
	// The name is swapped after the toolbox opened the file.
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
}

// fakeOpener puts a program into the host's path that notes its arguments.
func fakeOpener(t testing.TB, l *bridgetest.LocalSetup, name string) {
	t.Helper()
	bin := filepath.Join(l.Config.Root, "bin")
	os.MkdirAll(bin, 0o755)
	text := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + l.Config.Root + "/opened\n"
	if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestB16_OpenURL(t *testing.T) {
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	const good = "https://example.org/a?b=c&d=%20#e"
	b.Output(t, "--verb", "open-url", good)
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != good+"\n" {
		t.Errorf("opened %q", got)
	}
	for _, bad := range []string{"file:///etc/passwd", "javascript:alert(1)", "-flag", "https://a\nb", "https://" + strings.Repeat("a", 1<<16), "https://ex\u202eample.org", "https:///x", "https://p\u0430ypal.com", "HTTPS:x", "data:text/html,x", "", "https://a b", "http://a'b"} {
		cmd := b.Client("--verb", "open-url", bad)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 125 {
			t.Errorf("%.40q: %v %.300s", bad, cmd.ProcessState, out)
		}
		if bytes.ContainsAny(out, "\u202e\x1b") {
			t.Errorf("%.40q comes back raw", bad)
		}
	}
}
