//go:build remote

package podman

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/toolbox/stage"
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
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("podman exec: %w", err)
	}
	ended, waits := make(chan struct{}), make(chan bool, 1)
	go func() {
		stuck := stage.Waits(cmd.Process.Pid, func(wait time.Duration) bool {
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
		return fmt.Errorf("podman exec: it waited for %s", stage.Awaited)
	}
	if err != nil {
		return fmt.Errorf("podman exec: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return nil
}
