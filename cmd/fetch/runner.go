package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/programs"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// The time that a package manager has after it was asked to end. One that installs must
// finish its present package; one that hangs will not.
const (
	endsSoon = 2 * time.Minute
	endsHung = 10 * time.Second
)

// RunnerIn runs commands in a toolbox by tbx run, which starts the toolbox, knows the
// ways into it, and keeps its processes in its cgroup. isolated: the way is podman's,
// where the command has another number and gets no signal.
func (e *Env) RunnerIn(name toolbox.Name, isolated bool) packages.Runner {
	return func(ctx context.Context, c packages.Command, out, errs io.Writer) (int, error) {
		r := &insideRun{env: e, name: name, isolated: isolated, errs: errs}
		return r.run(ctx, c, out)
	}
}

type insideRun struct {
	env      *Env
	name     toolbox.Name
	isolated bool
	errs     io.Writer

	mu     sync.Mutex
	told   bytes.Buffer // the beginning of standard error, for tbx's own messages there
	inside string       // the command's number in an isolated toolbox
}

// call returns the call of tbx that runs args in the toolbox, as c says.
func (r *insideRun) call(c packages.Command, args []string) *exec.Cmd {
	self, err := programs.Front()
	if err != nil {
		self = "tbx"
	}
	words := []string{"run", "--toolbox=" + string(r.name), "--workdir=" + cmp.Or(c.Dir, "/")}
	if !c.AsUser {
		words = append(words, "--root")
	}
	for _, kv := range c.Env {
		words = append(words, "--env="+kv)
	}
	cmd := exec.Command(self, append(append(words, "--"), args...)...)
	cmd.Env = r.env.Environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for tbx, which tells the package manager alone
	return cmd
}

func (r *insideRun) run(ctx context.Context, c packages.Command, out io.Writer) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	args := c.Args
	if r.isolated {
		args = append([]string{"sh", "-c", `echo "tbx-number $$" >&2; exec "$@"`, "sh"}, args...)
	}
	cmd := r.call(c, args)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, out, r
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = r.end(ctx, c.Whole, cmd.Process.Pid, ended)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	code := cmd.ProcessState.ExitCode()
	if code == toolbox.ExitFailed {
		if said := r.ownWords(); said != nil {
			return code, said
		}
	}
	return code, nil
}

// end asks the command to end, or with whole also its children, waits, and then kills
// them.
func (r *insideRun) end(ctx context.Context, whole bool, pid int, ended <-chan error) error {
	patience := endsSoon
	if whole || errors.Is(context.Cause(ctx), packages.ErrSilent) {
		patience = endsHung
	}
	r.signal(pid, unix.SIGINT, whole)
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
	}
	r.signal(pid, unix.SIGKILL, true)
	return <-ended
}

// signal sends a signal to the command, or to its group.
func (r *insideRun) signal(pid int, sig unix.Signal, group bool) {
	if !r.isolated {
		if group {
			pid = -pid
		}
		unix.Kill(pid, sig)
		return
	}
	r.mu.Lock()
	inside := r.inside
	r.mu.Unlock()
	if inside == "" {
		return
	}
	script := `kill "-$2" "$1"`
	if group {
		script = killTree
		defer unix.Kill(-pid, sig) // podman's command
	}
	r.call(packages.Command{}, []string{"sh", "-c", script, "sh", inside, strconv.Itoa(int(sig))}).Run()
}

// killTree sends the signal $2 to the process $1 and its children. Their process group
// has no number in the toolbox, because podman made it outside.
const killTree = `t() {
	for s in /proc/[0-9]*/status; do
		p=${s#/proc/}
		if grep -qs "^PPid:.$1\$" "$s"; then (t "${p%/status}" "$2"); fi
	done
	kill "-$2" "$1"
}
t "$@"`

var number = regexp.MustCompile(`(?m)^tbx-number (\d+)\n`)

// Write is the command's standard error.
func (r *insideRun) Write(p []byte) (int, error) {
	const beginning = 4 << 10
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told.Len() < beginning {
		r.told.Write(p[:min(len(p), beginning)])
	}
	if r.isolated && r.inside == "" {
		m := number.FindSubmatchIndex(r.told.Bytes())
		if m == nil {
			return len(p), nil
		}
		r.inside = string(r.told.Bytes()[m[2]:m[3]])
		rest := append(append([]byte{}, r.told.Bytes()[:m[0]]...), r.told.Bytes()[m[1]:]...)
		r.errs.Write(rest)
		return len(p), nil
	}
	return r.errs.Write(p)
}

// ownWords returns tbx's own message, if tbx itself failed.
func (r *insideRun) ownWords() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var said *fail.Error
	for _, line := range strings.Split(r.told.String(), "\n") {
		text, ok := strings.CutPrefix(line, "tbx: ")
		hint, isHint := strings.CutPrefix(text, "hint: ")
		switch {
		case !ok, strings.HasPrefix(text, "warning: "):
		case isHint && said != nil:
			said.Hint("%s", hint)
		case !isHint && said == nil:
			said = fail.New(nil, "%s", text)
		}
	}
	if said == nil {
		return nil
	}
	return said
}
