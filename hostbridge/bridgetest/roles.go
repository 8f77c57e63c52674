package bridgetest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/hostbridge/client"
	"github.com/tbx-project/tbx/hostbridge/runner"
	"github.com/tbx-project/tbx/hostbridge/wire"
	"github.com/tbx-project/tbx/internal/flock"
)

const roleVar, configVar = "TBX_TEST_ROLE", "TBX_TEST_CONFIG"

// Main runs the test binary as one of the bridge's processes, if it was started
// as such; else it runs the tests.
func Main(m *testing.M) {
	if run := roles()[os.Getenv(roleVar)]; run != nil {
		os.Exit(run())
	}
	if len(os.Args) > 1 && os.Args[1] == "runner" { // a runner gets no environment
		os.Exit(runner.Main())
	}
	moreAtOnce()
	os.Exit(m.Run())
}

// roles are what the test binary can be, by the value of roleVar. Each returns the exit
// code, or ends the process itself.
func roles() map[string]func() int {
	return map[string]func() int{
		"agent":    agentMain,
		"box":      boxMain,
		"client":   clientMain,
		"fuse":     fuseMain,
		"control":  controlMain,
		"connect":  connectMain,
		"impostor": func() int { return impostorMain(os.Args[1]) }, // answers at that place that all went well
		"ensure":   ensureMain,
		"shim":     func() int { client.Shim(strings.Split(os.Getenv("TBX_TEST_ARGV"), "\n")); return 0 },
	}
}

// boxMain is a toolbox: it lives until its input ends.
func boxMain() int {
	if dir := os.Getenv("TBX_TEST_COVER"); dir != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mount:", err)
			return 1
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

func clientMain() int {
	if dir := os.Getenv("TBX_TEST_CWD"); dir != "" {
		if err := os.Chdir(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
	}
	if name := os.Getenv("TBX_TEST_MAKE"); name != "" {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
	}
	client.HostExec(os.Args[1:])
	return 0
}

// controlMain asks the agent from a toolbox, which must be turned away.
func controlMain() int {
	if _, err := hostbridge.AskStatus(context.Background(), os.Args[1]); err == nil {
		fmt.Println("let in")
	} else {
		fmt.Println("turned away")
	}
	return 0
}

// connectMain connects a socket and is gone: who gave the socket goes on with it.
func connectMain() int {
	if err := syscall.Connect(3, &syscall.SockaddrUnix{Name: os.Getenv("TBX_BRIDGE") + "/sock"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func ensureMain() int {
	var l LocalSetup
	err := json.Unmarshal([]byte(os.Getenv(configVar)), &l.Config)
	if err == nil {
		err = l.Ensure(BoxID, os.Environ())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func impostorMain(path string) int {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	os.Chmod(path, 0o777)
	fmt.Println("ready")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return 0
		}
		conn.Write(wire.Exit{}.Frame().Append(nil))
	}
}

func agentMain() int {
	var c Config
	if err := json.Unmarshal([]byte(os.Getenv(configVar)), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, _ := os.Executable()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if c.Nofile > 0 {
		lim := syscall.Rlimit{Cur: c.Nofile, Max: c.Nofile}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if c.Path == "" {
		c.Path = hostbridge.SystemPath
	}
	if c.Linger == 0 {
		c.Linger = time.Hour
	}
	var askers []hostbridge.Asker
	if c.Ask != "" {
		askers = append(askers, fixedAnswer{c.Ask, filepath.Join(c.Root, "questions")})
	}
	err := hostbridge.Serve(ctx, hostbridge.Options{
		Dir: c.Dir(),
		Lookup: func(_ context.Context, id string) (hostbridge.Box, error) {
			box := c.Box
			pid, err := os.ReadFile(filepath.Join(c.Root, "pid."+id))
			if err != nil {
				return box, err
			}
			box.ID = id
			if name, err := os.ReadFile(filepath.Join(c.Root, "name."+id)); err == nil {
				box.Name = string(name)
			}
			box.Pid, err = strconv.Atoi(string(pid))
			return box, err
		},
		Runner: []string{self, "runner"},
		Policy: hostbridge.PolicyDirs{Admin: c.Admin, User: c.PolicyDir()},
		Audit:  &hostbridge.AuditLog{Path: c.Audit, Journal: c.Journal, NoArgs: c.NoArgs, Now: time.Now},
		Askers: askers,
		Tbx:    c.Tbx,
		Path:   c.Path,
		Home:   c.Root,
		Log:    os.Stderr,
		Ready:  hostbridge.SignalReady,
		Linger: c.Linger,
	})
	if err != nil && !errors.Is(err, flock.ErrBusy) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fixedAnswer is an owner who always answers the same, and notes what was asked.
type fixedAnswer struct{ answer, file string }

func (f fixedAnswer) Ask(ctx context.Context, q hostbridge.Question) (bool, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return false, err
	}
	out, err := os.OpenFile(f.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	out.Write(append(line, '\n'))
	out.Close()
	if f.answer == "never" {
		<-ctx.Done()
		return false, ctx.Err()
	}
	return f.answer == "yes", nil
}

// moreAtOnce runs more tests at the same time than there are processors: most of them
// wait for a time limit of the bridge. -parallel on the command line still decides.
func moreAtOnce() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
}
