//go:build system

package fleetlock_test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tbx-project/tbx/osupdate/auto/fleetlock/fleetlocktest"
)

// etcd starts a real one, and returns its address and its end.
func etcd(t *testing.T, dir string, port int) (string, func()) {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Fatalf("%v: run tests/lab/setup --for test", err)
	}
	url, peer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port+1)
	cmd := exec.Command(path, "--data-dir", dir, "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer, "--log-level", "error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(end)
	for range 300 {
		if resp, err := http.Get(url + "/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url, end
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("etcd does not come up")
	return "", nil
}

// freePorts are two that nobody listens on, one after the other.
func freePorts(t *testing.T) int {
	for range 50 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		a.Close()
		if err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("no two ports are free")
	return 0
}

// TestEtcd: the slots are in a real etcd, and what is held there outlasts server and etcd.
func TestEtcd(t *testing.T) {
	dir, port := t.TempDir(), freePorts(t)
	url, end := etcd(t, dir, port)
	slots := &fleetlocktest.Etcd{URL: url}
	life(t, slots)
	before, err := slots.Holders(t.Context(), "default")
	if err != nil || len(before) != 2 {
		t.Fatalf("%q, %v", before, err)
	}
	end()
	if _, err := slots.Holders(t.Context(), "default"); err == nil {
		t.Fatal("an etcd that was killed answers")
	}
	etcd(t, dir, port)
	after, err := slots.Holders(t.Context(), "default")
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("%q, and after a kill %q, %v", before, after, err)
	}
}
