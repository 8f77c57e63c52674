package hostbridge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

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
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	const good = "https://example.org/a?b=c&d=%20#e"
	b.Output(t, "--verb", "open-url", good)
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != good+"\n" {
		t.Errorf("opened %q", got)
	}
	b.Output(t, "--verb", "open-url", "mailto:a@b.example?subject=c&body=d")
	b.Local.RestartAgent() // it opens 20 at once
	for i, bad := range []string{"file:///etc/passwd", "javascript:alert(1)", "-flag", "https://a\nb", "https://" + strings.Repeat("a", 1<<16), "mailto:", "mailto://x", "//example.org", "https://user@\u202ex", "https:x", "https://\xff", "https://ex\u202eample.org", "https:///x", "https://p\u0430ypal.com", "HTTPS:x", "data:text/html,x", "", "https://a b", "http://a'b",
		"https://bank.example@evil.example/", "https://a:b@c/", "http://@x/", "mailto:a@b?attach=/etc/passwd", "mailto:a@b?subject=x&Attachment=/etc/passwd", "mailto:a@b?insert=/etc/passwd", "mailto:a@b?x;y=%zz"} {
		if i%15 == 14 {
			b.Local.RestartAgent()
		}
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

// The text of a notification holds no control characters, written out or not.
func TestB18_NotificationIsEscaped(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "notify-send")
	b.Output(t, "--verb", "notify", "-x\x1b", "\x1b\n\\033<b>\u202e")
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != "--app-name=tbx\n--\n[web] -x\\x1b\n\\\\x1b\\\\n\\\\033&lt;b&gt;\\\\u202e\n" {
		t.Errorf("notified %q", got)
	}
}

// A megabyte does not fit into one argument of a program, but into a request.
func TestB16_LongURL(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "xdg-open")
	s := wire.Start{Flags: wire.FlagVerb, Token: token(t, b.Local), Cwd: "/", Argv: []string{"open-url", "https://example.org/" + strings.Repeat("a", 1<<20)}}
	frames, err := s.Frames()
	if err != nil {
		t.Fatal(err)
	}
	fd := dial(t, b.Local)
	for _, f := range frames {
		send(t, fd, f)
	}
	f := answer(t, fd)
	if e, err := wire.ParseFailure(f.Body); f.Type != wire.TypeError || err != nil || !strings.Contains(e.Text, "8 KiB") {
		t.Errorf("frame of type %d, %+v, %v", f.Type, e, err)
	}
	if _, err := os.Lstat(b.Local.Config.Root + "/opened"); err == nil {
		t.Error("it was opened")
	}
}

// A file that lies in the toolbox alone, under a name that the host has too, is
// not the host's; and an isolated toolbox opens what it shares and nothing else.
func TestB17_OpenFileThatIsNotShared(t *testing.T) {
	t.Parallel()
	change := func(c *bridgetest.Config) {
		c.Cover = "covered"
		c.Path = c.Root + "/bin:" + hostbridge.SystemPath
	}
	b := bridgetest.Local(t, change)
	fakeOpener(t, b.Local, "xdg-open")
	covered := filepath.Join(b.Local.Config.Root, "covered", "doc")
	if err := os.WriteFile(covered, []byte("the host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := b.Client("--verb", "open-file", "doc")
	cmd.Env = append(cmd.Env, "TBX_TEST_CWD="+filepath.Dir(covered), "TBX_TEST_MAKE=doc")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 125 || !strings.Contains(string(out), "this file is not shared with the host") {
		t.Errorf("%v %s", cmd.ProcessState, out)
	}

	b = bridgetest.Local(t, func(c *bridgetest.Config) {
		change(c)
		c.Box.Isolated, c.Ask = true, "yes"
		c.Box.Shares = []hostbridge.Share{{Host: filepath.Join(c.Root, "share"), Box: filepath.Join(c.Root, "share")}}
	})
	fakeOpener(t, b.Local, "xdg-open")
	secret, doc := filepath.Join(b.Local.Config.Root, "secret"), filepath.Join(b.Shared, "doc")
	for _, f := range []string{secret, doc} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.Output(t, "--verb", "open-file", doc)
	for _, path := range []string{secret, b.Shared + "/../secret"} {
		b.Refused(t, 126, "--verb", "open-file", path)
	}
	if got, _ := os.ReadFile(b.Local.Config.Root + "/opened"); string(got) != doc+"\n" {
		t.Errorf("opened %q", got)
	}
}

// Hundreds of notifications and windows in a second are none of a toolbox's business.
func TestB27_FloodOfNotifications(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Box.Isolated, c.Path = true, c.Root+"/bin:"+hostbridge.SystemPath })
	log := filepath.Join(b.Local.Config.Root, "shown")
	fakeOpener(t, b.Local, "notify-send")
	put(t, filepath.Join(b.Local.Config.Root, "bin", "notify-send"), "#!/bin/sh\necho x >> "+log+"\n", 0o755)
	const asked = 60
	begun, refused := time.Now(), 0
	for range asked {
		if out, err := b.Client("--verb", "notify", "spam").CombinedOutput(); err != nil && strings.Contains(string(out), "too many") {
			refused++
		}
	}
	shown, _ := os.ReadFile(log)
	if n := bytes.Count(shown, []byte("x")); n == 0 || n+refused != asked || n > noticesSince(begun) {
		t.Errorf("%d were shown, %d refused", n, refused)
	}
}

// noticesSince is how many notifications of one toolbox the desktop may have got since
// then: ten, and ten a minute (docs/bridge-protocol.md).
func noticesSince(begun time.Time) int { return 10 + int(time.Since(begun).Minutes()*10) + 1 }

// A desktop that is stopped shows no notification, and holds up no command.
func TestB25_StoppedDesktop(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Path = c.Root + "/bin:" + hostbridge.SystemPath })
	fakeOpener(t, b.Local, "notify-send")
	put(t, filepath.Join(b.Local.Config.Root, "bin", "notify-send"), "#!/bin/sh\nkill -STOP $$\n", 0o755)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"true\"\naction = \"allow\"\nnotify = true\n")
	begun := time.Now()
	for range 30 {
		b.Output(t, "true")
	}
	stopped := 0
	for _, pid := range b.Local.AgentsChildren() {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if strings.HasPrefix(string(comm), "notify-send") {
			stopped++
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if stopped > noticesSince(begun) {
		t.Errorf("%d notifications wait", stopped)
	}
}
