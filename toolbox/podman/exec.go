//go:build remote

package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/helper"
)

// Run implements toolbox.Engine by the podman command: an exec through the
// bindings leaves two processes behind for five minutes.
func (e *Engine) Run(ctx context.Context, id string, args []string, in io.Reader, out io.Writer) error {
	if err := hostprog.CheckCaller(); err != nil {
		return err
	}
	cmd := hostprog.Podman(ctx, append([]string{"exec", "--interactive", "--user", "0:0", "--workdir", "/", id}, args...)...)
	errs := bounded.Buffer{Most: 16 << 10} // of what is printed
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &errs
	if err := wait(cmd); err != nil {
		return fmt.Errorf("podman exec: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return nil
}

// Exec implements toolbox.Engine.
func (e *Engine) Exec(ctx context.Context, id string, args, env []string, out, errs io.Writer) (int, error) {
	if err := hostprog.CheckCaller(); err != nil {
		return 0, err
	}
	words := []string{"exec", "--user", "0:0", "--workdir", "/"}
	for _, kv := range env {
		words = append(words, "--env", kv)
	}
	cmd := hostprog.Podman(ctx, append(append(words, id), args...)...)
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is tbx's to carry out
	err := wait(cmd)
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("podman exec: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// wait runs podman exec, and ends one that waits for what never comes.
func wait(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, waits := make(chan struct{}), make(chan bool, 1)
	go func() {
		stuck := helper.Waits(cmd.Process.Pid, func(wait time.Duration) bool {
			select {
			case <-ended:
				return true
			case <-time.After(wait):
				return false
			}
		})
		if stuck {
			cmd.Process.Kill()
		}
		waits <- stuck
	}()
	err := cmd.Wait()
	close(ended)
	if <-waits {
		return fmt.Errorf("it waited for %s", helper.Awaited)
	}
	return err
}
