package join

import (
	"errors"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// apart starts a process in a mount namespace of its own.
func apart(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skip("this machine allows no user namespaces: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func TestSweep(t *testing.T) {
	first, other := apart(t), apart(t)
	pid := first.Process.Pid
	start, err := StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeStatus(t, dir, pid, start-1) // the number went to a process that has nothing to do with it
	state, err := FindState("crun", dir, "c1")
	if err != nil {
		t.Fatal(err)
	}
	if state.Alive(pid) {
		t.Error("another process was taken for the toolbox's first")
	}
	state.Sweep(pid, 0)
	if _, err := StartTime(pid); err != nil {
		t.Fatal("another process was killed")
	}
	writeStatus(t, dir, pid, start)
	if !state.Alive(pid) || state.Alive(other.Process.Pid) {
		t.Error("the first process was not known")
	}
	reaped := make(chan error)
	go func() { reaped <- first.Wait() }()
	state.Sweep(pid, 0)
	if err := <-reaped; err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	if _, err := StartTime(other.Process.Pid); err != nil {
		t.Error("a process of another namespace was killed")
	}
}

// TestSweepAsksFirst: what ends when asked is not killed.
func TestSweepAsksFirst(t *testing.T) {
	cmd := apart(t)
	start, err := StartTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir+"/crun/c1/status", `{"pid":`+strconv.Itoa(cmd.Process.Pid)+`,"process-start-time":`+strconv.FormatUint(start, 10)+`}`)
	state, err := FindState("crun", dir, "c1")
	if err != nil {
		t.Fatal(err)
	}
	reaped := make(chan error)
	go func() { reaped <- cmd.Wait() }()
	state.Sweep(cmd.Process.Pid, time.Minute)
	if err := <-reaped; err == nil || err.Error() != "signal: hangup" {
		t.Errorf("it ended with %v", err)
	}
}
