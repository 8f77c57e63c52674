//go:build remote

package podman

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
	"github.com/tbx-project/tbx/internal/hostprog"
	"github.com/tbx-project/tbx/internal/userns"
	"github.com/tbx-project/tbx/internal/xdg"
)

const (
	// idle is how long the service outlives its last request, in seconds: long enough for
	// create and the first enter to share one.
	idle = "15"
	// answerTimeout bounds the first answer. A service starts in 60 to 180 ms, and
	// in seconds only on a machine under heavy load.
	answerTimeout = 30 * time.Second
	// minAPI is the oldest libpod API that tbx was tried with, podman 4.3.
	minAPI = "4.0.0"
)

// storageVars are the variables that select another storage or other settings of podman.
// A service is shared by callers with the same values.
var storageVars = []string{
	"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE",
	"CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "STORAGE_DRIVER", "STORAGE_OPTS", "TMPDIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG",
	"DBUS_SESSION_BUS_ADDRESS", "PATH",
}

// service returns the URI of a podman service for the calling user, and starts one if
// none answers. dir is tbx's runtime directory.
//
// It does not use systemd's podman.socket: that service does not see the caller's HOME or
// CONTAINERS_STORAGE_CONF, and may use another storage.
func service(ctx context.Context, dir string, warn func(text, hint string)) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fail.Wrap(fail.Unable, err, "the runtime directory of tbx cannot be made").
			Hint("log in anew, or set XDG_RUNTIME_DIR to a directory of yours")
	}
	program, err := hostprog.Look("podman")
	if err != nil {
		return "", fail.New(fail.Unable, "podman is not installed, or not in PATH").
			Hint("install it with your distribution's package manager, for example: sudo apt-get install podman")
	}
	path := filepath.Join(dir, "podman-"+settingsKey()+".sock")
	pause := pauseFileOf(filepath.Dir(dir))
	checkPause(ctx, filepath.Dir(dir), warn)
	if tmpdir := hostprog.BadTmpdir(os.Environ()); tmpdir != "" {
		warn(fmt.Sprintf("TMPDIR is %s, where you cannot write: podman works without it", escape.Quote(tmpdir)), "")
	}
	for again := true; ; again = false {
		found := serves(path, pause)
		if !found {
			if err := hostprog.CheckCaller(); err != nil {
				return "", err
			}
			if err := launch(ctx, program, path, pause); err != nil {
				return "", err
			}
		}
		err := answers(ctx, program, path)
		switch {
		case err == nil:
			if _, err := os.Stat(pauseFile(path)); err != nil {
				copyFile(pause, pauseFile(path))
			}
			return "unix://" + path, nil
		case again && strings.Contains(err.Error(), stranded):
			if err := mend(ctx, path, program, warn); err != nil {
				return "", err
			}
		case again && found && !dials(path): // it ended between the two looks, having been idle for long enough
		default:
			return "", err
		}
	}
}

// serves reports whether a service answers on the socket that is in the same user
// namespace as podman's command now. podman keeps that namespace by a pause process.
// podman system migrate, which Toolbx calls unasked, ends it; an older service would then
// start containers that podman exec cannot enter.
func serves(path, pause string) bool {
	if then, err := os.ReadFile(pauseFile(path)); err == nil {
		if now, err := os.ReadFile(pause); err != nil || string(now) != string(then) {
			return false
		}
	}
	return dials(path)
}

// pauseFile keeps podman's pause.pid as it was when the service first answered.
func pauseFile(socket string) string { return strings.TrimSuffix(socket, ".sock") + ".pause" }

func copyFile(from, to string) {
	if data, err := os.ReadFile(from); err == nil {
		os.WriteFile(to, data, 0o600)
	}
}

// reviving returns a client that starts the service again if it has ended: it does after
// a time without requests, for example while a user thinks about a question of tbx.
func reviving(dir string, warn func(text, hint string)) *http.Client {
	return &http.Client{Transport: rewinding{&http.Transport{
		DisableCompression: true,
		DisableKeepAlives:  true, // a kept connection may be one to a service that has ended
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path := filepath.Join(dir, "podman-"+settingsKey()+".sock")
			c, err := new(net.Dialer).DialContext(ctx, "unix", path)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
			if _, err := service(ctx, dir, warn); err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

// settingsKey identifies what a service reads only at its start: variables, and files
// that a user may edit because tbx just said so.
func settingsKey() string {
	var b strings.Builder
	for _, name := range storageVars {
		fmt.Fprintf(&b, "%s=%s\x00", name, os.Getenv(name))
	}
	dirs := []string{"/etc/containers"}
	if config, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, filepath.Join(config, "containers"))
	}
	for _, dir := range dirs {
		// A pattern that the directory's name makes malformed matches nothing.
		dropIns, _ := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf"))
		for _, path := range append(dropIns, filepath.Join(dir, "registries.conf"), filepath.Join(dir, "containers.conf"),
			filepath.Join(dir, "storage.conf")) {
			if fi, err := os.Stat(path); err == nil {
				fmt.Fprintf(&b, "%s %d %d\x00", path, fi.Size(), fi.ModTime().UnixNano())
			}
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:6])
}

func dials(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// launch starts a service on a socket that tbx has bound itself and passes as in
// sd_listen_fds(3): requests queue in the kernel until it is ready.
func launch(ctx context.Context, program, path, pause string) error {
	lock, err := flock.Wait(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if serves(path, pause) { // another tbx was faster
		return nil
	}
	os.Remove(path)
	os.Remove(pauseFile(path))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("socket for podman: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	socket, err := listener.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	log, err := os.OpenFile(logFile(path), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// LISTEN_PID must be the service's own number, which is unknown before it runs: the
	// shell that becomes podman knows it. It waits until it has been calmed.
	cmd := exec.Command("/bin/sh", "-c", `read -r go; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" system service --time `+idle+` </dev/null`, program)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = hostprog.PodmanEnv(os.Environ())
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	calmed, wait, err := os.Pipe()
	if err != nil {
		return err
	}
	defer wait.Close()
	cmd.Stdin = calmed
	err = hostprog.WithoutInherited(cmd.Start)
	calmed.Close()
	if err != nil {
		return fmt.Errorf("podman cannot be started: %w", err)
	}
	calm(cmd.Process.Pid)
	return cmd.Process.Release()
}

func logFile(socket string) string { return strings.TrimSuffix(socket, ".sock") + ".log" }

// answers waits for the service's first answer and checks its version.
func answers(ctx context.Context, program, path string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://d/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fail.New(fail.Unable, "podman (%s) has not answered for %v", program, answerTimeout).Hint("see whether this answers: podman info")
	case ctx.Err() != nil: // the user has stopped waiting
		return fmt.Errorf("waiting for podman (%s): %w", program, context.Cause(ctx))
	case err != nil:
		said := lastLine(logFile(path))
		for i := 0; said == "" && i < 100 && !errors.Is(err, syscall.ECONNREFUSED); i++ {
			time.Sleep(10 * time.Millisecond) // a podman that ends closes the socket before it says why
			said = lastLine(logFile(path))
		}
		if err := brokenSettings(said); err != nil {
			return err
		}
		e := fail.New(fail.Unable, "podman (%s) does not answer", program)
		if said != "" {
			e.Cause = errors.New(said)
		} else {
			e.Cause = err
		}
		if xdg.OwnRuntime(filepath.Dir(filepath.Dir(path))) {
			return subidHint(e.Hint("you have no session here: log in, or have a runtime directory from boot on by: loginctl enable-linger %s",
				hostprog.Account()))
		}
		return subidHint(e.Hint("see whether this answers: podman info"))
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	version := resp.Header.Get("Libpod-API-Version")
	if older(version, minAPI) {
		return fail.New(fail.Unable, "podman (%s) is too old: it has version %q of its API, tbx needs %s", program, version, minAPI).
			Hint("update podman to 4.3 or newer")
	}
	return nil
}

// older compares versions such as 4.9.5 by their first two numbers. An invalid version is
// old.
func older(version, than string) bool {
	var a, b [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &a[0], &a[1]); err != nil {
		return true
	}
	fmt.Sscanf(than, "%d.%d", &b[0], &b[1])
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

func lastLine(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// subidHint adds the most frequent reason for a rootless podman that cannot start, if it
// applies.
func subidHint(e *fail.Error) error {
	if file := missingSubIDs(); file != "" {
		account := cmp.Or(hostprog.Account(), strconv.Itoa(os.Getuid()))
		e.Hints = nil
		subuid, _ := os.ReadFile("/etc/subuid") // not there: nobody has any
		subgid, _ := os.ReadFile("/etc/subgid")
		first := userns.Unused(string(subuid), string(subgid))
		const count = 65536
		return e.Hint("%[1]s has no ids for you; an administrator gives some that nobody has with: usermod --add-subuids "+
			"%[2]d-%[3]d --add-subgids %[2]d-%[3]d %[4]s",
			file, first, first+count-1, account)
	}
	return e
}
