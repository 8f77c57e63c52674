package images

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// BootstrapOptions say where a bootstrap may write.
type BootstrapOptions struct {
	StateDir string // $XDG_STATE_HOME/tbx: lock and record
	// TempDir holds the root file system while it is made, about 500 MB. The
	// user's subordinate ids must be able to enter it, which rules out most
	// homes. "" means $TMPDIR or /var/tmp.
	TempDir string
	Include []string // packages beyond the recipe's
}

// Bootstrapped records how an image was made from a package mirror.
type Bootstrapped struct {
	Distro   string            `json:"distro"`
	Release  string            `json:"release"`
	Suite    string            `json:"suite"`
	Tool     string            `json:"tool"`
	Mode     string            `json:"mode"` // how the tool became root
	Sources  []string          `json:"sources"`
	Keyring  string            `json:"keyring"`  // what the mirror's signatures were checked with
	Packages map[string]string `json:"packages"` // name → version, all that are in the image
}

// means are the tools of this machine for a recipe.
type means struct{ tool, path, keyring string }

// means finds the tools for a suite, or returns an error that names the missing one.
func (b *BootstrapRecipe) means(suite string) (means, error) {
	m, err := b.tool()
	if err != nil {
		return m, err
	}
	if m.keyring = b.keyring(suite); m.keyring == "" {
		return m, fail.New(fail.Unable, "the keyring %s, which verifies the mirror, is not installed", strings.Join(b.keyrings(suite), " or ")).
			Hint("install the package %s", b.KeyPkg)
	}
	return m, nil
}

func (b *BootstrapRecipe) keyrings(suite string) []string {
	var out []string
	for _, path := range b.Keyrings {
		out = append(out, strings.ReplaceAll(path, "{suite}", suite))
	}
	return out
}

func (b *BootstrapRecipe) keyring(suite string) string {
	for _, path := range b.keyrings(suite) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Bootstrap makes ch.Local from the distribution's package mirror with one of the host's
// own tools, as an ordinary user, and prepares it. The mirror's signatures are checked.
// The root file system streams into the store, which has the image only when all of it
// was made. The next bootstrap removes a killed one's files.
func Bootstrap(ctx context.Context, store Store, ch Choice, opts BootstrapOptions, progress Progress) (Image, error) {
	b := ch.Bootstrap
	if b == nil {
		return Image{}, fail.New(fail.Unable, "image %s: tbx cannot make it from a package mirror", ch.Reference).
			Hint("tbx image catalog shows which releases it can make")
	}
	has, err := b.means(ch.Suite)
	if err != nil {
		return Image{}, fail.Wrap(fail.Unable, err, "bootstrap %s", ch.Local)
	}
	lock, err := flock.Wait(ctx, filepath.Join(opts.StateDir, "bootstrap.lock"))
	if err != nil {
		return Image{}, fmt.Errorf("bootstrap %s: %w", ch.Local, err)
	}
	defer lock.Close()
	tmp, alive, err := scratch(opts.TempDir)
	if err != nil {
		return Image{}, fmt.Errorf("bootstrap %s: %w", ch.Local, err)
	}
	defer alive.Close()
	defer discard(tmp)

	run := bootstrapRun{means: has, ch: ch, tmp: tmp, include: slices.Concat(b.Include, opts.Include), progress: progress,
		mode: "unshare", packages: map[string]string{}}
	img, err := run.into(ctx, store)
	if err != nil {
		return Image{}, err
	}
	if err := run.record(opts.StateDir, img); err != nil {
		return Image{}, fmt.Errorf("bootstrap %s: record what was done: %w", ch.Local, err)
	}
	return img, Fetcher{Store: store, StateDir: opts.StateDir, Progress: progress}.prepare(ctx, img, PullOptions{})
}

// scratch makes a directory for one bootstrap and removes the directories of bootstraps
// that died. A lock in the directory means that its bootstrap lives; that bootstrap may
// belong to another state directory.
func scratch(base string) (string, *flock.Lock, error) {
	if base == "" {
		base = os.Getenv("TMPDIR")
	}
	if base == "" {
		base = "/var/tmp"
	}
	id := strconv.Itoa(os.Getuid()) + "-"
	prefix := filepath.Join(base, "tbx-bootstrap-"+id)
	const young = "tbx-new-"
	stale, _ := filepath.Glob(prefix + "*") // the pattern is well-formed
	unnamed, _ := filepath.Glob(filepath.Join(base, young+id+"*"))
	for _, dir := range unnamed { // killed before it had its name
		if fi, err := os.Lstat(dir); err == nil && time.Since(fi.ModTime()) > time.Hour {
			os.RemoveAll(dir)
		}
	}
	for _, dir := range stale {
		fi, err := os.Lstat(dir)
		if err != nil || !fi.IsDir() || int(fi.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
			continue // somebody else's, in a directory that is everybody's
		}
		dead, err := flock.Try(filepath.Join(dir, scratchLock))
		if errors.Is(err, flock.ErrBusy) {
			continue
		}
		discard(dir)
		if err == nil {
			dead.Close()
		}
	}
	// It gets its name when it has its lock.
	dir, err := os.MkdirTemp(base, young+id)
	if err != nil {
		return "", nil, err
	}
	lock, err := flock.Try(filepath.Join(dir, scratchLock))
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	named := prefix + strings.TrimPrefix(filepath.Base(dir), young+id)
	if err := os.Rename(dir, named); err != nil {
		lock.Close()
		os.RemoveAll(dir)
		return "", nil, err
	}
	return named, lock, os.Chmod(named, 0o711) // the tool's root is another user outside
}

const scratchLock = "lock"

// discard removes a scratch directory. After a killed tool the files belong to
// subordinate ids, and podman can become their root. Files that remain only take disk
// space; the next bootstrap tries again.
func discard(dir string) {
	if os.RemoveAll(dir) != nil {
		_ = hostprog.Podman(context.Background(), "unshare", "rm", "-rf", "--one-file-system", dir).Run()
	}
}

// bootstrapRun is one run of a tool.
type bootstrapRun struct {
	means
	ch       Choice
	tmp      string
	include  []string
	progress Progress

	mode     string
	packages map[string]string
	tail     []string // last lines that are marked as errors or warnings, for the message
	other    []string // last lines that are not, for a tool that marks none
}

func (r *bootstrapRun) sources() []string {
	fill := strings.NewReplacer("{suite}", r.ch.Suite, "{keyring}", r.keyring)
	var out []string
	for _, s := range r.ch.Bootstrap.Sources {
		out = append(out, fill.Replace(s))
	}
	return out
}

// changes are instructions for the image's configuration.
func (r *bootstrapRun) changes() []string {
	return []string{
		`CMD ["/bin/bash"]`,
		"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LABEL com.github.containers.toolbox=true", // so that Toolbx takes it too
		"LABEL org.opencontainers.image.title=" + r.ch.Distro,
		"LABEL org.opencontainers.image.version=" + r.ch.Release,
	}
}

func (r *bootstrapRun) into(ctx context.Context, store Store) (Image, error) {
	ctx, cancel := context.WithCancelCause(ctx) // the first failure is the one to tell of
	defer cancel(nil)
	body, stdout := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The kernel sends Pdeathsig when the *thread* that started the
		// program ends, so that it must live as long as the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.run(ctx, stdout)
		if err != nil {
			cancel(err)
		}
		stdout.CloseWithError(err) // nil is a clean end: only then is there an image
	}()
	img, err := store.Import(ctx, body, r.ch.Local, r.changes())
	if err != nil {
		cancel(err)
		body.CloseWithError(err)
	}
	<-done
	if err := context.Cause(ctx); err != nil {
		return Image{}, NameFullDisk(fail.Wrap(nil, err, "bootstrap %s", r.ch.Local))
	}
	return img, nil
}

// undoTime is the time limit for a tool that was told to end, to undo its work.
const undoTime = 5 * time.Second

// run starts the tool and copies its output to out.
func (r *bootstrapRun) run(ctx context.Context, out io.Writer) error {
	args, env := r.command()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = &countingWriter{w: out, report: func(n int64) { r.progress.Report(Event{Stage: StageBootstrap, Done: n}) }}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if r.tool != mmdebstrap { // our script ends when its standard input does
		if _, err := cmd.StdinPipe(); err != nil {
			return err
		}
	}
	// On SIGTERM mmdebstrap undoes its own work, unless that comes between two of
	// its helpers: then it goes on, and its whole group is killed. Nobody may
	// write any more when its directory goes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	group := func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	var last *time.Timer
	cmd.Cancel = func() error {
		last = time.AfterFunc(undoTime, func() { _ = group(syscall.SIGKILL) }) // it may be gone
		return group(syscall.SIGTERM)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		r.heard(lines.Text())
	}
	err = cmd.Wait()
	if last != nil {
		last.Stop()
	}
	if err != nil {
		return fail.Wrap(nil, err, "%s%s", r.tool, r.said()).
			Hint("it takes packages from: %s", r.sources()[0])
	}
	return nil
}

// heard reads one line of the tool: "I: …" is progress, "P: …" comes from our own hook.
func (r *bootstrapRun) heard(line string) {
	kind, text, _ := strings.Cut(line, ": ")
	switch kind {
	case "P":
		name, version, _ := strings.Cut(text, " ")
		r.packages[name] = version
	case "I":
		if mode, ok := strings.CutPrefix(text, "automatically chosen mode: "); ok {
			r.mode = mode
		}
		if !strings.HasPrefix(text, "running --customize-hook") {
			r.progress.Report(Event{Stage: StageBootstrap, Text: text})
		}
	case "E", "W":
		r.tail = lastLines(r.tail, line)
	default:
		if r.tool != mmdebstrap && strings.TrimSpace(line) != "" {
			r.other = lastLines(r.other, line)
			r.progress.Report(Event{Stage: StageBootstrap, Text: line})
		}
	}
}

// lastLines keeps the last lines.
func lastLines(lines []string, line string) []string {
	lines = append(lines, escape.Text(line))
	return lines[max(0, len(lines)-5):] // zypper says why first and then three lines of what follows
}

// said returns the last lines of the tool, for the end of a message.
func (r *bootstrapRun) said() string {
	lines := r.tail
	if len(lines) == 0 {
		lines = r.other
	}
	if len(lines) == 0 {
		return ""
	}
	return " says " + strings.Join(lines, "; ")
}

func (r *bootstrapRun) record(stateDir string, img Image) error {
	return ProvenancesIn(stateDir).Save(Provenance{
		Image: img.ID, Reference: r.ch.Local, Origin: OriginBootstrap,
		Bootstrap: &Bootstrapped{
			Distro: r.ch.Distro, Release: r.ch.Release, Suite: r.ch.Suite, Tool: r.tool, Mode: r.mode,
			Sources: r.sources(), Keyring: r.keyring, Packages: r.packages,
		},
	})
}

// countingWriter reports the number of bytes written, at most once a MiB.
type countingWriter struct {
	w               io.Writer
	total, reported int64
	report          func(total int64)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.total += int64(n); c.total-c.reported >= 1<<20 {
		c.reported = c.total
		c.report(c.total)
	}
	return n, err
}
