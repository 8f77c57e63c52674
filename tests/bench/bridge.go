package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// Inside the toolbox tbx is the client of the bridge.
var hostExec = []string{"/run/tbx/box/shims/tbx", "host-exec"}

// within are the medians that insideMain measures in the toolbox, in nanoseconds.
type within struct {
	Direct, Bridge, Flatpak time.Duration // of true
	PipeDirect, PipeBridge  time.Duration // 256 MiB through a pipe
	PTYDirect, PTYBridge    time.Duration // 16 MiB through a terminal
	Wrong                   int           // of 64 commands at once
}

// bridge measures host commands from inside. flatpak-spawn is the peer: it is in
// Debian, and host-spawn speaks to the same service.
func bridge(b *bench) error {
	if err := b.boxes(); err != nil {
		return err
	}
	if err := must("tbx", "run", tbxBox, "--", "sh", "-c", "sudo apt-get update && sudo apt-get install -y --no-install-recommends flatpak-xdg-utils"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	inside := exec.Command("tbx", "run", tbxBox, "--", "/run/host"+self, "-inside", "-runs", strconv.Itoa(b.runs))
	inside.Stderr = os.Stderr
	out, err := inside.Output()
	if err != nil {
		return fmt.Errorf("inside: %w", err)
	}
	var w within
	if err := json.Unmarshal(out, &w); err != nil {
		return err
	}
	row("`host-exec true`", w.Bridge, "flatpak-spawn --host", w.Flatpak, 0.65)
	row("", w.Bridge, "/bin/true inside", w.Direct, 4)
	row("256 MiB from the host through a pipe", w.PipeBridge, "inside", w.PipeDirect, 1.5)
	compare("16 MiB from the host through a terminal", w.PTYBridge, "inside", w.PTYDirect)
	fmt.Printf("| 64 host commands at once | %d wrong | | | 0, %s |\n", w.Wrong, verdict(w.Wrong == 0))

	call := timed("tbx", append([]string{"run", tbxBox, "--"}, append(hostExec, "true")...)...)
	// Both after a pause: the kernel lets a move of cgroups wait unless there was one just before.
	s, err := inTurn(b.slow*2, rested(call), func() (time.Duration, error) {
		pid, err := agent()
		if err != nil {
			return 0, err
		}
		syscall.Kill(pid, syscall.SIGTERM)
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(time.Millisecond)
		}
		return rested(call)()
	})
	if err != nil {
		return err
	}
	more := s[1].median() - s[0].median()
	fmt.Printf("| `run … host-exec true` that starts the agent | %s | with one %s | +%s | +25 ms, %s |\n", ms(s[1].median()), ms(s[0].median()), ms(more), verdict(more <= 25*time.Millisecond))
	pid, err := agent()
	if err != nil {
		return err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	kb, _ := strconv.Atoi(string(regexp.MustCompile(`VmRSS:\s+(\d+)`).FindSubmatch(status)[1]))
	fmt.Printf("| agent, resident | %d kB | | | 12000 kB, %s |\n", kb, verdict(kb <= 12000))
	return nil
}

// agent returns the process id of the bridge's agent.
func agent() (int, error) {
	out, err := exec.Command("tbx", "agent").Output()
	if err != nil {
		return 0, err
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(string(out), "process "), ",")
	return strconv.Atoi(word)
}

// insideMain is the bench's part in the toolbox.
func insideMain(runs int) error {
	var w within
	host := func(args ...string) func() (time.Duration, error) {
		return timed(hostExec[0], append(hostExec[1:], args...)...)
	}
	s, err := inBatches(runs, 10, timed("/bin/true"), host("true"), timed("/usr/libexec/flatpak-xdg-utils/flatpak-spawn", "--host", "true"))
	if err != nil {
		return err
	}
	w.Direct, w.Bridge, w.Flatpak = s[0].median(), s[1].median(), s[2].median()
	pipe, terminal := []string{"head", "-c", "256M", "/dev/zero"}, []string{"head", "-c", "16M", "/dev/zero"}
	s, err = inTurn(5,
		drained(pipe), drained(append(hostExec, pipe...)),
		throughPTY(terminal), throughPTY(append(hostExec, terminal...)))
	if err != nil {
		return err
	}
	w.PipeDirect, w.PipeBridge, w.PTYDirect, w.PTYBridge = s[0].median(), s[1].median(), s[2].median(), s[3].median()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range 64 {
		all.Go(func() {
			out, err := exec.Command(hostExec[0], append(hostExec[1:], "sh", "-c", fmt.Sprintf("echo %d; exit %d", i, i))...).Output()
			code := 0
			if exit, ok := err.(*exec.ExitError); ok {
				code = exit.ExitCode()
			}
			if string(out) != fmt.Sprintf("%d\n", i) || code != i {
				mu.Lock()
				w.Wrong++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(w)
}

// drained measures a command whose output is read from a pipe to its end.
func drained(args []string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		cmd := exec.Command(args[0], args[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		io.Copy(io.Discard, struct{ io.Reader }{out})
		return time.Since(start), cmd.Wait()
	}
}

// throughPTY is drained with a terminal instead of the pipe.
func throughPTY(args []string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		cmd := exec.Command(args[0], args[1:]...)
		start := time.Now()
		terminal, err := pty.Start(cmd)
		if err != nil {
			return 0, err
		}
		defer terminal.Close()
		n, _ := io.Copy(io.Discard, struct{ io.Reader }{terminal}) // ends with EIO
		if n != 16<<20 {
			return 0, fmt.Errorf("%q: %d bytes came through", args, n)
		}
		return time.Since(start), cmd.Wait()
	}
}
