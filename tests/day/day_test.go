//go:build system

package day

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// jobTimeout bounds one job in one place; installTimeout the packages of all.
const (
	jobTimeout     = 2 * time.Minute
	installTimeout = 40 * time.Minute
)

// place is somewhere that jobs are done.
type place struct {
	name     string
	argv     func(script string) []string
	terminal bool // it gives every program a terminal
}

// result is what a job printed and its exit code.
type result struct {
	output string
	code   int
}

func (r result) String() string { return fmt.Sprintf("exit code %d\n%s", r.code, r.output) }

// TestDay does every job in a plain Debian root and in a toolbox of the same image.
// What works there must do the same here. TBX_DAY=all takes all jobs, and Toolbx as a
// third place where it is installed; else the short half. TBX_DAY_JOBS names some of
// them, TBX_DAY_TABLE a file for the table of results.
func TestDay(t *testing.T) {
	all := os.Getenv("TBX_DAY") == "all"
	jobs, err := Jobs()
	if err != nil {
		t.Fatal(err)
	}
	if !all {
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return !j.Short })
	}
	if only := strings.Fields(os.Getenv("TBX_DAY_JOBS")); len(only) > 0 { // by name, and their packages alone
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return !slices.Contains(only, j.Name) })
	}
	places := []place{plainRoot(t), toolbox(t)}
	if all {
		if p, ok := toolbx(t); ok {
			places = append(places, p)
		}
	}
	places = installed(t, places, jobs)
	table := &bytes.Buffer{}
	fmt.Fprint(table, "| job | plain Debian | tbx | Toolbx |\n|---|---|---|---|\n")
	defer saveTable(t, table)
	for _, j := range jobs {
		t.Run(j.Name, func(t *testing.T) { compare(t, j, places, table) })
	}
}

// compare does one job in all places and adds its row to the table.
func compare(t *testing.T, j Job, places []place, table *bytes.Buffer) {
	plain := do(t, places[0], j)
	fmt.Fprintf(table, "| %s: %s | exit code %d |", j.Name, j.Title, plain.code)
	for i, p := range places[1:] {
		got := do(t, p, j)
		word := "the same"
		if got != plain {
			word = "differs"
			if j.Differs != "" {
				word += ": " + j.Differs
			}
		}
		fmt.Fprintf(table, " %s |", word)
		switch {
		case i > 0: // Toolbx: to look at, not to judge
			if got != plain {
				t.Logf("in a plain Debian: %sin Toolbx: %s", plain, got)
			}
		case got != plain && j.Differs == "":
			t.Errorf("%s\n%s\nin a plain Debian: %sin the toolbox: %s", j.Title, j.Script, plain, got)
		case got == plain && j.Differs != "" && !j.Perhaps:
			t.Errorf("no longer differs: %s", j.Differs)
		}
	}
	fmt.Fprintln(table)
	if plain.code != 0 {
		t.Errorf("the job does not work in a plain Debian: %s", plain)
	}
}

// do runs a job in a place, in an empty directory below the home.
func do(t *testing.T, p place, j Job) result {
	t.Helper()
	dir := "$HOME/day-of-tests/" + j.Name
	return run(t, p, `sudo rm -rf "`+dir+`" 2>/dev/null; mkdir -p "`+dir+`"; cd "`+dir+`"; set -eu`+"\n"+j.Script, j, jobTimeout)
}

func run(t *testing.T, p place, script string, j Job, limit time.Duration) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	argv := p.argv(script)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = home(t)
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	var err error
	if j.Terminal {
		err = onTerminal(ctx, cmd, j.Keys, &out)
	} else {
		cmd.Stdout, cmd.Stderr = &out, &out
		err = cmd.Run()
	}
	if ctx.Err() != nil {
		fmt.Fprintf(&out, "\nnot done after %s\n", limit)
	}
	if cmd.ProcessState == nil {
		return result{err.Error(), -1}
	}
	return result{plainText(out.String(), j.Terminal || p.terminal), cmd.ProcessState.ExitCode()}
}

// onTerminal runs cmd on a terminal of 80 by 24, where keys are typed when the program
// has drawn and waits.
func onTerminal(ctx context.Context, cmd *exec.Cmd, keys string, out *bytes.Buffer) error {
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		return err
	}
	defer f.Close()
	screen := &screen{out: out}
	if keys != "" {
		go func() {
			screen.awaitQuiet(ctx)
			for _, key := range []byte(keys) {
				time.Sleep(100 * time.Millisecond)
				f.Write([]byte{key}) // the job's output tells whether it arrived
			}
		}()
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(screen, f) // ends with EIO when nobody has the terminal any more
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done(): // what still has the terminal does not keep the test
		screen.off()
	}
	return cmd.Wait()
}

// screen is what a terminal shows, and when that last changed.
type screen struct {
	mu    sync.Mutex
	out   *bytes.Buffer // nil: off
	drawn time.Time     // zero: not yet
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn = time.Now()
	if s.out == nil {
		return len(p), nil
	}
	return s.out.Write(p)
}

func (s *screen) off() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = nil
}

func (s *screen) last() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drawn
}

// awaitQuiet waits until something was drawn and nothing is for two seconds, and for
// a minute at most where nothing is drawn at all.
func (s *screen) awaitQuiet(ctx context.Context) {
	const quiet, most = 2 * time.Second, time.Minute
	for begin := time.Now(); ctx.Err() == nil && time.Since(begin) < most; time.Sleep(100 * time.Millisecond) {
		if last := s.last(); !last.IsZero() && time.Since(last) > quiet {
			return
		}
	}
}

var (
	cleared = regexp.MustCompile(`(?s).*\x1b\[[23]J`)
	escapes = regexp.MustCompile(`\x1b(\[[0-9;?>]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78])`)
)

// plainText is output without a terminal's codes, from where the screen was last
// cleared.
func plainText(s string, terminal bool) string {
	if !terminal {
		return s
	}
	s = escapes.ReplaceAllString(cleared.ReplaceAllString(s, ""), "")
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "")
}

// installed installs in all places at the same time what the jobs need. A third place where that
// fails is left out: it is to look at, not to judge.
func installed(t *testing.T, places []place, jobs []Job) []place {
	t.Helper()
	failed := make([]string, len(places))
	var wait sync.WaitGroup
	for i, p := range places {
		wait.Go(func() { failed[i] = install(t, p, jobs) })
	}
	wait.Wait()
	for i, why := range failed[:2] {
		if why != "" {
			t.Fatalf("%s: the packages cannot be installed: %s", places[i].name, why)
		}
	}
	if len(places) > 2 && failed[2] != "" {
		t.Logf("%s: the packages cannot be installed: %s", places[2].name, failed[2])
		places = places[:2]
	}
	return places
}

// install installs what the jobs need, in one step, and returns what was said if that failed.
func install(t *testing.T, p place, jobs []Job) string {
	t.Helper()
	var packages []string
	for _, j := range jobs {
		packages = append(packages, j.Packages...)
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	script := "set -e; sudo apt-get update -qq >/dev/null"
	if len(packages) > 0 {
		script += "; sudo env DEBIAN_FRONTEND=noninteractive apt-get install -o Dpkg::Options::=--force-unsafe-io -qq -y --no-install-recommends " + strings.Join(packages, " ") + " </dev/null 2>&1 | tail -5; dpkg -s " + strings.Join(packages, " ") + " >/dev/null"
	}
	if r := run(t, p, script, Job{}, installTimeout); r.code != 0 {
		return r.String()
	}
	return ""
}

func saveTable(t *testing.T, table *bytes.Buffer) {
	t.Log("\n" + table.String())
	if file := os.Getenv("TBX_DAY_TABLE"); file != "" {
		if err := os.WriteFile(file, table.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func home(t *testing.T) string {
	t.Helper()
	h, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// must runs a command and returns its output.
func must(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func imageTar() string { return filepath.Join(os.Getenv("TBX_IMAGES"), "debian.tar") }
