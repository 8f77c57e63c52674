package hostbridge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestB19_AuditLinesStayLines(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	b.Output(t, "true", "a\nb\"}{", "\x1b[31m", strings.Repeat("s", 10_000))
	b.Refused(t, 126, "sudo", "-n", "true")
	bridgetest.Eventually(t, "the end is logged", func() bool { return len(b.Local.Audit()) == 3 })
	data, err := os.ReadFile(b.Local.Config.Audit)
	if err != nil || bytes.Count(data, []byte("\n")) != 3 || bytes.ContainsAny(data, "\x1b") {
		t.Fatalf("%v %q", err, data)
	}
	for line := range bytes.Lines(data) {
		if !json.Valid(line) || len(line) > 6000 {
			t.Errorf("line %.200s", line)
		}
	}
	recs := b.Local.Audit()
	for i, r := range recs {
		if r.Seq != uint64(i+1) && r.Event != "end" && recs[1].Event != "end" {
			t.Errorf("record %d has number %d", i, r.Seq)
		}
		if strings.Contains(string(data), string(token(t, b.Local))) {
			t.Error("the token is in the log")
		}
	}
	if st, _ := os.Stat(b.Local.Config.Audit); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	// The directory goes: it is made again.
	os.RemoveAll(filepath.Dir(b.Local.Config.Audit))
	b.Output(t, "true")
	bridgetest.Eventually(t, "the log is there again", func() bool { return len(b.Local.Audit()) == 2 })
}

func TestB19_FullDisk(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Audit = "/dev/full"; c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	works(t, b)
	if msg := b.Refused(t, 126, "id"); !strings.Contains(msg, "audit") {
		t.Errorf("message %s", msg)
	}
}

// The log's directory is gone and cannot be made again: as with a full disk, and
// what was lost is counted once it can be written.
func TestB19_LogCannotBeMade(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	b.Output(t, "true")
	bridgetest.Eventually(t, "the end is logged", func() bool { return len(b.Local.Audit()) == 2 })
	dir := filepath.Dir(b.Local.Config.Audit)
	asked := 1 // of three that may be asked in a minute, one at the end
	for name, place := range map[string]func() error{
		"a file":        func() error { return os.WriteFile(dir, nil, 0o600) },
		"a dead link":   func() error { return os.Symlink(dir+"/none", dir) },
		"a FIFO as log": func() error { os.Mkdir(dir, 0o700); return unix.Mkfifo(b.Local.Config.Audit, 0o600) },
		"a linked log": func() error {
			os.Mkdir(dir, 0o700)
			return os.Symlink(filepath.Join(b.Shared, "victim"), b.Local.Config.Audit)
		},
	} {
		// A line of the last command's end may come, and make the log, meanwhile.
		bridgetest.Eventually(t, name, func() bool {
			os.RemoveAll(dir)
			return place() == nil
		})
		works(t, b)
		if asked++; asked <= 3 {
			if msg := b.Refused(t, 126, "id"); !strings.Contains(msg, "audit log") {
				t.Errorf("%s: message %s", name, msg)
			}
		}
	}
	for range 4 { // between two places a late line may have been written, with the number of those lost before
		works(t, b)
	}
	os.RemoveAll(dir)
	if _, err := os.Lstat(filepath.Join(b.Shared, "victim")); err == nil {
		t.Error("the log went through a link")
	}
	b.Output(t, "id")
	if rec := b.Local.Audit()[0]; rec.Lost < 4 {
		t.Errorf("%d lines are counted as lost", rec.Lost)
	}
}

// A file system that is full to the last byte takes no line, and later lines are whole.
func TestB19_FullFileSystem(t *testing.T) {
	t.Parallel()
	limit := filepath.Join(t.TempDir(), "log")
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Audit = limit; c.Wrap = "ulimit -f 1; trap '' XFSZ" }) // 1 KiB
	for range 12 {
		b.Output(t, "true", strings.Repeat("x", 300))
	}
	data, err := os.ReadFile(limit)
	if err != nil || len(data) > 1024 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	b.Local.KillAgent()
	b.Local.Config.Wrap = ""
	b.Local.StartAgent()
	b.Output(t, "true", "after")
	bridgetest.Eventually(t, "lines can be read again", func() bool {
		recs := b.Local.Audit()
		return len(recs) > 1 && recs[len(recs)-1].Event == "end" && strings.Join(recs[len(recs)-2].Argv, " ") == "true after"
	})
}

// Secrets among arguments can be kept out of the log.
func TestB19_ArgumentsLeftOut(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.NoArgs = true })
	b.Output(t, "true", "--password", "hunter2")
	cmd := b.Client("true")
	cmd.Env = append(cmd.Env, "LC_SECRET=hunter2", "TZ=hunter2\x1b")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	bridgetest.Eventually(t, "all is logged", func() bool { return len(b.Local.Audit()) == 4 })
	if data, _ := os.ReadFile(b.Local.Config.Audit); bytes.Contains(data, []byte("hunter2")) {
		t.Errorf("%s", data)
	}
	if argv := b.Local.Audit()[0].Argv; len(argv) != 2 || argv[0] != "true" || argv[1] != "… 2 more" {
		t.Errorf("logged %q", argv)
	}
}

func TestB19_Journal(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "j")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: sock, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Journal = sock })
	b.Output(t, "true", "a\nMESSAGE=forged")
	buf := make([]byte, 64<<10)
	n, err := l.Read(buf)
	if got := string(buf[:n]); err != nil || strings.Count(got, "\nMESSAGE=") != 1 || !strings.Contains(got, "TBX_TOOLBOX=web\n") {
		t.Errorf("%v %q", err, got)
	}
}

func TestB20_PolicyChangesWhileRunning(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	dir := b.Local.Config.PolicyDir()
	works(t, b)
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"deny\"\n")
	if msg := b.Refused(t, 126, "echo"); !strings.Contains(msg, "1.toml:1") {
		t.Errorf("no rule named: %s", msg)
	}
	b.Output(t, "true")
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"ec") // half-written
	if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "1.toml:3:") {
		t.Errorf("no line named: %s", msg)
	}
	file := filepath.Join(dir, "1.toml")
	for name, spoil := range map[string]func() error{
		"symlink":         func() error { os.Rename(file, file+".x"); return os.Symlink(file+".x", file) },
		"writable by all": func() error { return os.Chmod(file, 0o666) },
		"fifo":            func() error { os.Remove(file); return unix.Mkfifo(file, 0o600) },
		"directory":       func() error { os.Remove(file); return os.Mkdir(file, 0o700) },
		"huge":            func() error { return os.WriteFile(file, bytes.Repeat([]byte("#"), 300_000), 0o600) },
		"open directory":  func() error { return os.Chmod(dir, 0o777) },
	} {
		os.RemoveAll(file)
		b.Local.WritePolicy("1.toml", "")
		works(t, b)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "policy") {
			t.Errorf("%s: %s", name, msg)
		}
		os.Chmod(dir, 0o700)
	}
	os.RemoveAll(file)
	works(t, b)
}

// The administrator's files come first, count only if they are root's and no
// others can write them, and cannot be passed over.
func TestB20_AdministratorsFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "host-policy.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Admin = dir })
	file := filepath.Join(dir, "1.toml")
	write := func() {
		if err := os.WriteFile(file, []byte("[[rule]]\nbox = \"*\"\nexec = \"echo\"\naction = \"deny\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.Local.WritePolicy("0.toml", "[[rule]]\nbox = \"*\"\nexec = \"*\"\naction = \"allow\"\n")
	if os.Getuid() != 0 {
		// What an ordinary user can make here is never the administrator's.
		if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "has no say here") {
			t.Errorf("message %s", msg)
		}
		return
	}
	write()
	b.Output(t, "true")
	if msg := b.Refused(t, 126, "echo"); !strings.Contains(msg, file+":1") {
		t.Errorf("message %s", msg)
	}
	for name, spoil := range map[string]func() error{
		"file writable by all":      func() error { return os.Chmod(file, 0o666) },
		"directory writable by all": func() error { return os.Chmod(dir, 0o777) },
		"another's file":            func() error { return os.Chown(file, 54321, 54321) },
		"another's directory":       func() error { return os.Chown(dir, 54321, 54321) },
		"symlink":                   func() error { os.Rename(file, file+".x"); return os.Symlink(file+".x", file) },
		"half-written":              func() error { return os.Truncate(file, 20) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if msg := b.Refused(t, 126, "true"); !strings.Contains(msg, "policy") {
			t.Errorf("%s: message %s", name, msg)
		}
		os.Remove(file)
		os.Chown(dir, 0, 0)
		os.Chmod(dir, 0o755)
		write()
		b.Output(t, "true")
	}
}

// While an editor writes in place, each request finds the old rules, the new
// ones or none, and none allow nothing.
func TestB20_WrittenInPlace(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	file := filepath.Join(b.Local.Config.PolicyDir(), "1.toml")
	rule := "[[rule]]\nbox = \"web\"\nexec = \"echo\"\naction = \"deny\"\n"
	b.Local.WritePolicy("1.toml", rule)
	done, writing := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(writing)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			text := rule + strings.Repeat("# "+strings.Repeat("x", n%7)+"\n", n%50)
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return
			}
			for len(text) > 0 { // from the start, in pieces, and cut at the end
				k := min(len(text), 16)
				f.WriteString(text[:k])
				text = text[k:]
			}
			size, _ := f.Seek(0, io.SeekCurrent)
			f.Truncate(size)
			f.Close()
		}
	}()
	for range 100 {
		if msg := b.Refused(t, 126, "echo", "x"); !strings.Contains(msg, "1.toml") {
			t.Errorf("message %s", msg)
		}
	}
	close(done)
	<-writing
	b.Output(t, "true")
}
