package helper

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestX51_Waits: who opens a FIFO that nobody writes to, or a file of whose lease
// somebody does not let go, or reads what has no end, is told from one that waits for
// anything else.
func TestX51_Waits(t *testing.T) {
	dir := t.TempDir()
	fifo, leased := filepath.Join(dir, "fifo"), filepath.Join(dir, "leased")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(leased)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, c := range []struct {
		name  string
		args  []string
		stdin *os.File
		looks int // after which it ends
		want  bool
	}{
		{"a FIFO", []string{"cat", fifo}, null, 1000, true},
		{"a lease", []string{"cat", leased}, null, 1000, true},
		{"a pipe", []string{"cat"}, r, 3 * guardSeen, false},
		{"time", []string{"sleep", "60"}, null, 3 * guardSeen, false},
		{"a line without an end", []string{"tail", "-n", "1", "/dev/zero"}, null, 1000, true},
	} {
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Stdin = c.stdin
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		looks := 0
		got := Waits(cmd.Process.Pid, func(wait time.Duration) bool {
			time.Sleep(wait / 5)
			looks++
			return looks > c.looks
		})
		cmd.Process.Kill()
		cmd.Wait()
		if got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
