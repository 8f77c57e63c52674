package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"

	"github.com/creack/pty"
)

// toPrompt measures until the command's shell shows a prompt on a terminal of
// its own. Every prompt of bash here ends in "$ ".
func toPrompt(name string, args ...string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		cmd := exec.Command(name, args...)
		start := time.Now()
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
		if err != nil {
			return 0, err
		}
		defer func() {
			terminal.Close()
			cmd.Process.Kill()
			cmd.Wait()
		}()
		var seen []byte
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf)
			seen = append(seen, buf[:n]...)
			if bytes.Contains(seen, []byte("$ ")) {
				took := time.Since(start)
				terminal.WriteString("exit\n")
				return took, nil
			}
			if err != nil {
				return 0, fmt.Errorf("%s ended before a prompt: %q", name, seen)
			}
		}
	}
}
