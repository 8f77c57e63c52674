package ptytest

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A program that says nothing is hung up although somebody reads what it says.
func TestCloseHangsUp(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	terminal, err := Start(cmd, 24, 80)
	if err != nil {
		t.Fatal(err)
	}
	reads := make(chan struct{})
	go func() {
		close(reads)
		for b := make([]byte, 100); ; {
			if _, err := terminal.Read(b); err != nil {
				return
			}
		}
	}()
	<-reads
	time.Sleep(50 * time.Millisecond) // until it waits in the call
	terminal.Close()
	kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGHUP {
		t.Errorf("it ended by %v, not by the hangup", status.Signal())
	}
}
