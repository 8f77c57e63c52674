// Package bridgetest is the suite that every way of setting up the bridge must
// pass: the agent, the runner and the client are real processes, terminals and
// namespaces are real; only the container may be missing. It is imported by
// tests alone.
package bridgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/hostbridge"
)

// Bridge is one set-up of the bridge, with one toolbox.
type Bridge struct {
	// Client is `tbx host-exec ARGS` in the toolbox, not started yet, in the
	// directory Shared, with no environment but what the set-up needs.
	Client func(args ...string) *exec.Cmd
	Setenv func(cmd *exec.Cmd, vars ...string) // sets variables in the toolbox for a client
	Shared string                              // directory that has this name on both sides
	Local  *LocalSetup                         // nil where the toolbox is a real container
}

// LocalSetup is a bridge without a container: the toolbox is a process in a
// user and a mount namespace of its own.
type LocalSetup struct {
	sessionMu sync.Mutex
	Config    Config
	Session   string
	Box       *exec.Cmd
	AgentPid  int
	t         testing.TB
	mu        sync.Mutex // guards Session
}

// Config is what the agent's process is given.
type Config struct {
	Root    string // everything of this bridge lies below
	Box     hostbridge.Box
	Path    string // hostbridge.SystemPath if empty
	Tbx     string
	Linger  time.Duration // an hour if 0
	Ask     string        // yes, no, never (no answer), or empty: nobody can be asked
	Env     []string      // of the host's session
	Audit   string        // path of the log
	Journal string
	NoArgs  bool   // of the log
	Nofile  uint64 // limit on the agent's descriptors
	Cover   string // directory below Root over which the toolbox has another
	Admin   string // directory of the administrator's policy
	Wrap    string // shell code before the agent is executed, by the command in $LAUNCH if it is set
}

// Dir is the bridge's directory.
func (c Config) Dir() string { return filepath.Join(c.Root, "run") }

// PolicyDir is the user's.
func (c Config) PolicyDir() string { return filepath.Join(c.Root, "policy") }

// BoxID is the id of the toolbox.
const BoxID = "0123456789ab"

// Questions are those that were put to Config.Ask since the last call.
func (l *LocalSetup) Questions() []hostbridge.Question {
	l.t.Helper()
	file := filepath.Join(l.Config.Root, "questions")
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	os.Remove(file)
	var out []hostbridge.Question
	for line := range bytes.Lines(data) {
		var q hostbridge.Question
		if err := json.Unmarshal(line, &q); err != nil {
			l.t.Fatal(err)
		}
		out = append(out, q)
	}
	return out
}

// RestartAgent kills the agent and starts another: it forgets how often it asked, and
// what was answered.
func (l *LocalSetup) RestartAgent() {
	l.t.Helper()
	l.KillAgent()
	l.StartAgent()
}

// Local sets up a bridge without a container. change may alter the set-up
// before anything is started.
func Local(t testing.TB, change func(*Config)) *Bridge {
	t.Helper()
	// Not t.TempDir: its name is too long for a socket, and its mode may let
	// the group write.
	root, err := os.MkdirTemp("", "tbxb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	c := Config{Root: root, Box: hostbridge.Box{Name: "web"}, Audit: filepath.Join(root, "state", "audit.jsonl"),
		Env: []string{"PATH=/usr/bin:/bin", "HOME=" + root, "HOSTVAR=host"}}
	if change != nil {
		change(&c)
	}
	for _, d := range []string{c.PolicyDir(), filepath.Join(root, "share")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l := &LocalSetup{Config: c, t: t}
	l.Box = l.StartBox(BoxID)
	l.StartAgent()
	t.Cleanup(l.stopAgent)
	b := &Bridge{Shared: filepath.Join(root, "share"), Local: l}
	b.Setenv = func(cmd *exec.Cmd, vars ...string) { cmd.Env = append(cmd.Env, vars...) }
	b.Client = func(args ...string) *exec.Cmd { return l.InBox(l.Box, "client", args...) }
	return b
}

// StartBox starts a toolbox: a process in namespaces of its own.
func (l *LocalSetup) StartBox(id string) *exec.Cmd {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	box := exec.Command(self)
	box.Env = append(os.Environ(), roleVar+"=box")
	box.Stderr = os.Stderr
	if l.Config.Cover != "" {
		dir := filepath.Join(l.Config.Root, l.Config.Cover)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			l.t.Fatal(err)
		}
		box.Env = append(box.Env, "TBX_TEST_COVER="+dir)
	}
	box.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		AmbientCaps: []uintptr{21}, // CAP_SYS_ADMIN, there
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
	}
	in, err := box.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := box.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := box.Start(); err != nil {
		l.t.Fatalf("user namespaces are needed to test the bridge: %v", err)
	}
	l.t.Cleanup(func() {
		in.Close()
		box.Process.Kill()
		box.Wait()
	})
	if n, _ := out.Read(make([]byte, 8)); n == 0 {
		l.t.Fatal("the toolbox did not start")
	}
	pid := filepath.Join(l.Config.Root, "pid."+id)
	if err := os.WriteFile(pid, []byte(strconv.Itoa(box.Process.Pid)), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return box
}

// StartAgent starts the agent, or registers the toolbox with the one that runs.
func (l *LocalSetup) StartAgent() {
	l.t.Helper()
	if err := l.Ensure(BoxID, l.Config.Env); err != nil {
		l.t.Fatal(err)
	}
	st, err := hostbridge.AskStatus(context.Background(), l.Config.Dir())
	if err != nil {
		l.t.Fatal(err)
	}
	l.AgentPid = st.Pid
}

// Ensure is what `tbx enter` does.
func (l *LocalSetup) Ensure(id string, env []string) error {
	self, _ := os.Executable()
	conf, _ := json.Marshal(l.Config)
	session, err := hostbridge.Ensure(context.Background(), hostbridge.EnsureOptions{
		Dir: l.Config.Dir(), Box: id, Env: env, Umask: 0o027,
		Agent: []string{"/usr/bin/env", roleVar + "=agent", configVar + "=" + string(conf),
			"/bin/bash", "-c", l.Config.Wrap + "\nexec $LAUNCH " + self},
		Log: filepath.Join(l.Config.Root, "agent.log"),
	})
	l.sessionMu.Lock() // several make sure of the agent at once
	defer l.sessionMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Session = session
	return err
}

func (l *LocalSetup) stopAgent() {
	log, _ := os.ReadFile(filepath.Join(l.Config.Root, "agent.log"))
	if bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic:")) { // go test -race
		l.t.Error("the agent reports a fault of its own")
	}
	if l.t.Failed() {
		l.t.Logf("agent's log: %s", log)
	}
	if st, err := hostbridge.AskStatus(context.Background(), l.Config.Dir()); err == nil {
		syscall.Kill(st.Pid, syscall.SIGKILL)
	}
}

// KillAgent kills the agent and waits until it is gone.
func (l *LocalSetup) KillAgent() {
	l.t.Helper()
	if err := syscall.Kill(l.AgentPid, syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
	Eventually(l.t, "the agent is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.AgentPid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// AgentsChildren are the agent's runners: one for each command, and a spare one.
func (l *LocalSetup) AgentsChildren() []int {
	l.t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []int
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		var pid, parent int
		var state string
		fmt.Sscanf(string(data), "%d", &pid)
		_, rest, _ := strings.Cut(string(data), ") ") // after the name, which may hold anything
		if fmt.Sscanf(rest, "%s %d", &state, &parent); parent == l.AgentPid {
			out = append(out, pid)
		}
	}
	return out
}

// InBox is the test binary in a role, in the toolbox's namespaces.
func (l *LocalSetup) InBox(box *exec.Cmd, role string, args ...string) *exec.Cmd {
	self, _ := os.Executable()
	l.mu.Lock()
	defer l.mu.Unlock()
	cmd := exec.Command("nsenter", append([]string{"--user", "--mount", "--preserve-credentials",
		"-t", strconv.Itoa(box.Process.Pid), "--", self}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", roleVar + "=" + role,
		"TBX_BRIDGE=" + hostbridge.BoxDir(l.Config.Dir(), BoxID),
		"TBX_TEST_CWD=" + filepath.Join(l.Config.Root, "share"),
		"TBX_SESSION=" + l.Session, "TERM=xterm"}
	return cmd
}

// WritePolicy replaces a file of the user's policy.
func (l *LocalSetup) WritePolicy(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.Config.PolicyDir(), name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// Audit reads the audit log.
func (l *LocalSetup) Audit() []hostbridge.AuditEntry {
	l.t.Helper()
	var out []hostbridge.AuditEntry
	err := hostbridge.ReadAudit(context.Background(), l.Config.Audit, hostbridge.AuditFilter{}, false, func(r hostbridge.AuditEntry) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// Eventually waits for something that another process does.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 1500 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("it never came about that %s", what)
}
