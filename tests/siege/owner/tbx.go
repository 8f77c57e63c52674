package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/ptytest"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// deadline is after what a command of the owner's hangs: an initialiser may take three minutes, and the machine is busy.
const deadline = 5 * time.Minute

// command is a call of the tbx that the owner has now.
func (s *siege) command(ctx context.Context, args ...string) *exec.Cmd {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "tbx"), args...)
	cmd.Env = append(os.Environ(), "PATH="+s.bin+":"+os.Getenv("PATH"))
	cmd.Dir = "/" // which every toolbox has
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// tbx runs a command of the owner's to its end. One that hangs is a finding. It returns what was said and the exit code.
func (s *siege) tbx(args ...string) (string, int) {
	s.log.did("owner", "tbx %s", strings.Join(args, " "))
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := s.command(ctx, args...)
	out := &limited{left: 1 << 20}
	cmd.Stdout, cmd.Stderr = out, out
	begun, hung := time.Now(), ""
	kill := cmd.Cancel
	cmd.Cancel = func() error {
		hung = tree(cmd.Process.Pid)
		return kill()
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		s.log.find("a command of the owner hangs", "tbx %q did not end within %v: %s\n  it said: %s", args, time.Since(begun).Round(time.Second), hung, out.String())
	}
	code := -1
	var exit *exec.ExitError
	if err == nil {
		code = 0
	} else if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if text := out.String(); strings.Contains(text, "panic:") || strings.Contains(text, "goroutine ") {
		s.log.find("tbx fell", "tbx %q: %s", args, text)
	}
	s.log.did("owner", "  exit code %d: %.200s", code, strings.TrimSpace(out.String()))
	return out.String(), code
}

// limited keeps the beginning of what is written and swallows the rest.
type limited struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.left)
	l.left -= n
	l.buf.Write(p[:n])
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// ordinary makes a toolbox that is none of the adversary's: with one of its own secrets in it, and to show that the
// adversary's eyes are open.
func (s *siege) ordinary() error {
	if out, err := exec.Command("podman", "import", "--quiet", s.base, imageName("base")).CombinedOutput(); err != nil {
		return fmt.Errorf("podman import: %w: %s", err, out)
	}
	for _, c := range [][]string{
		{"create", "--yes", "--image", imageName("base"), prefix + "plain"},
		{"run", prefix + "plain", "--", "sh", "-c", "echo " + s.secret + "-plain >/tmp/" + prefix + "secret.plain"},
		{"create", "--yes", "--image", imageName("base"), "--isolated", prefix + "vault"},
		{"run", prefix + "vault", "--", "sh", "-c", "echo " + s.secret + "-vault >~/secret"},
	} {
		if out, code := s.tbx(c...); code != 0 {
			return fmt.Errorf("tbx %q: exit code %d: %s", c, code, out)
		}
	}
	s.close = append(s.close, func() { os.Remove("/tmp/" + prefix + "secret.plain") })
	s.learn()
	// A request that is denied, for the log: no other toolbox can have it forgotten.
	out, code := s.tbx("run", prefix+"plain", "--", "sh", "-c", "exec $(ls /run/tbx/box/*/tbx-box | head -n 1) host-exec --cwd / mount "+s.canary())
	if code != 126 {
		return fmt.Errorf("a denied command of the host: exit code %d: %s", code, out)
	}
	return nil
}

// canary is in the first line of the log.
func (s *siege) canary() string { return "denied-" + s.config.Evil }

// learn takes down which tbx-box the owner's programs have.
func (s *siege) learn() {
	for _, bin := range s.bins {
		for _, path := range []string{"tbx-box", "../libexec/tbx/tbx-box"} {
			if path = filepath.Join(bin, path); stateOf(path).sum != "" {
				s.programs[sumOf(path)] = true
			}
		}
	}
}

// control runs the adversary's eyes in the ordinary toolbox, which shows the host: what they do not see there, they would
// not see in an isolated one either.
func (s *siege) control(context.Context) {
	program := filepath.Join(s.dir, "own", "siege")
	data, err := os.ReadFile(s.adversary)
	if err == nil {
		data, err = pack.Append(data, &s.config)
	}
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err != nil {
		s.log.find("the siege itself failed", "%v", err)
		return
	}
	seen := map[string]bool{}
	for _, flags := range [][]string{{"run"}, {"run", "--root"}} {
		out, _ := s.tbx(append(flags, prefix+"plain", "--", program, "probe")...)
		for _, line := range strings.Split(out, "\n") {
			var l pack.Line
			if json.Unmarshal([]byte(line), &l) == nil && l.Kind == pack.Found {
				seen[l.What] = true
			}
		}
	}
	for _, want := range []string{"a secret of the host: " + s.home + "/.ssh/id_rsa", "a secret of the host: /tmp/" + prefix + "secret",
		"a secret of the host: /proc/PID/environ", "a secret of the host: a service of the host, at 127.0.0.1", "a secret of the host: a socket of the host",
		"a secret of the host: an abstract socket of the host", "a secret of the host: key of the keyring", "no system call filter", "new privileges",
		"the host's namespace: pid", "the host's namespace: net", "mount of a tmpfs", "open_tree", "capabilities: CapBnd"} {
		if !seen[want] {
			s.log.find("the probes do not see", "in an ordinary toolbox there is nothing of: %s", want)
		}
	}
	s.log.count(s.log.acts, "control")
	fmt.Printf("siege: in an ordinary toolbox the probes find %d things\n", len(seen))
	os.RemoveAll(filepath.Join(s.dir, "own", "siege"))
	for _, dir := range append([]string{"/tmp"}, s.config.Shares...) {
		os.RemoveAll(filepath.Join(dir, pack.ReportDir))
	}
}

// create makes an isolated toolbox from one of the images. It may be refused: then it is made from the harmless one.
func (s *siege) create(b *box, variant string) {
	args := append([]string{"create", "--yes", "--isolated", "--image", imageName(variant)}, b.flags...)
	b.refused = 0
	s.naming.Lock()
	s.fresh()
	out, code := s.tbx(append(args, b.name)...)
	s.naming.Unlock()
	if code == 0 {
		s.log.count(s.log.acts, "create "+variant)
		return
	}
	s.log.count(s.log.acts, "create refused")
	if strings.Contains(out, "which the isolated toolbox") { // a share within another one's, rightly
		b.flags = []string{"--share", s.dir + "/big"}
		s.tbx(append(append([]string{"create", "--yes", "--isolated", "--image", imageName(variant)}, b.flags...), b.name)...)
	}
}

// fresh puts shares back that the adversary took away, as an owner would who wants to go on.
func (s *siege) fresh() {
	for _, dir := range []string{s.dir + "/src/job", s.dir + "/own", s.dir + "/big", s.dir + "/read/below"} {
		if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
			os.RemoveAll(dir)
			os.MkdirAll(dir, 0o755)
		}
	}
}

// besiege keeps sessions of the adversary in each toolbox, until ctx ends.
func (s *siege) besiege(ctx context.Context) {
	kinds := map[string][]bool{"user": {false}, "root": {true}, "both": {false, true}}[s.as]
	for i, b := range s.boxes {
		for _, root := range kinds {
			s.sessions.Add(1)
			go func() {
				defer s.sessions.Done()
				for n := uint64(1); ctx.Err() == nil; n++ {
					s.session(ctx, b, root, s.seed^uint64(i+1)<<32^n<<8^map[bool]uint64{true: 1}[root])
					pause(ctx, time.Second)
				}
			}()
		}
	}
	for _, f := range []func(context.Context){s.answer, s.swap} {
		s.sessions.Add(1)
		go func() {
			defer s.sessions.Done()
			f(ctx)
		}()
	}
}

// swap is a program of the owner's, or in an ordinary toolbox, that is not the owner's friend: it exchanges a share for a
// link to a secret as fast as it can, or leaves the link for the next start.
func (s *siege) swap(ctx context.Context) {
	r := rand.New(rand.NewPCG(s.seed, 3))
	job, link := s.dir+"/src/job", s.dir+"/src/.swap"
	for ctx.Err() == nil {
		pause(ctx, time.Duration(r.IntN(20))*time.Second)
		os.Remove(link)
		os.Symlink([]string{s.home + "/.ssh", s.home + "/.ssh", s.home, "/etc", s.home + "/siege-notes"}[r.IntN(5)], link)
		times, leave := 1+2*r.IntN(5000), r.IntN(3) == 0
		s.log.count(s.log.tries, "swap from outside")
		s.log.did("somebody", "exchanges %s, %d times", job, times)
		for n := 0; n < times && ctx.Err() == nil; n++ {
			s.naming.Lock()
			err := unix.Renameat2(unix.AT_FDCWD, job, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			s.naming.Unlock()
			if err != nil {
				break
			}
			time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		}
		if leave { // after an odd number of times it is the link
			pause(ctx, 10*time.Second)
		}
		s.naming.Lock()
		if fi, err := os.Lstat(job); err == nil && fi.Mode().Type() == os.ModeSymlink {
			unix.Renameat2(unix.AT_FDCWD, job, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
		}
		s.naming.Unlock()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// session is one life of the adversary in a toolbox.
func (s *siege) session(ctx context.Context, b *box, root bool, seed uint64) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	args := []string{"run", "--workdir", "/"}
	if root {
		args = append(args, "--root")
	}
	args = append(args, b.name, "--", "/siege", "attack", "-seed", fmt.Sprint(seed), "-steps", "60")
	if s.only != "" {
		args = append(args, "-only", s.only)
	}
	cmd := s.command(ctx, args...)
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	s.read(b.name, root, out)
	cmd.Wait()
}

// read takes in what the adversary reports.
func (s *siege) read(name string, root bool, r io.Reader) {
	lines := bufio.NewScanner(io.LimitReader(r, 16<<20))
	for lines.Scan() {
		s.hear(name, root, lines.Bytes())
	}
	io.Copy(io.Discard, r)
}

func (s *siege) hear(name string, root bool, line []byte) {
	var l pack.Line
	if json.Unmarshal(line, &l) != nil {
		return
	}
	who := "user in " + strings.TrimPrefix(name, prefix)
	if root {
		who = "root in " + strings.TrimPrefix(name, prefix)
	}
	switch l.Kind {
	case pack.Op:
		s.log.count(s.log.tries, l.What)
		s.log.did(who, "%s (%s)", l.What, l.Detail)
	case pack.Found:
		s.log.find(l.What, "%s (process %d, root %t): %s", who, l.Pid, l.Root, l.Detail)
	default:
		s.log.count(s.log.tries, l.What)
		s.log.did(who, "%s: %.300s", l.What, l.Detail)
	}
}

// answer answers the questions of the bridge at random, on a terminal of the owner's.
func (s *siege) answer(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		cmd := s.command(ctx, "agent", "--prompt")
		cmd.SysProcAttr = nil
		cmd.Cancel = nil
		f, err := ptytest.Start(cmd, 24, 80)
		if err != nil {
			pause(ctx, 5*time.Second)
			continue
		}
		buf := make([]byte, 4096)
		for {
			k, err := f.Read(buf)
			if err != nil {
				break
			}
			if strings.Contains(string(buf[:k]), "[y/N]") {
				n++
				s.log.count(s.log.acts, "answer")
				f.WriteString([]string{"y\r", "n\r", "\r"}[n%3])
			}
		}
		f.Close()
		cmd.Wait()
		pause(ctx, 2*time.Second)
	}
}

// exitContext bounds what is done at the end.
func exitContext() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	context.AfterFunc(ctx, cancel)
	return ctx
}
