package hostbridge_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestB19_AuditLinesStayLines(t *testing.T) {
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
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Audit = "/dev/full"; c.Ask = "yes" })
	b.Local.WritePolicy("1.toml", "[[rule]]\nbox = \"web\"\nexec = \"id\"\naction = \"ask\"\n")
	works(t, b)
	if msg := b.Refused(t, 126, "id"); !strings.Contains(msg, "audit") {
		t.Errorf("message %s", msg)
	}
}

func TestB19_Journal(t *testing.T) {
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
