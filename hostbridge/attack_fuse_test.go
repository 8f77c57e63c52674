package hostbridge_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

// B4: a descriptor of a file whose FUSE server never answers stalls the request
// that it came with, and nobody else.
func TestB4_FUSEFileThatNeverAnswers(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	l := b.Local
	// The server is a program in namespaces of its own, where it may mount; its
	// requests come from a nested namespace, which this toolbox allows.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	evil := exec.Command(self)
	evil.Env = append(os.Environ(), "TBX_TEST_ROLE=fuse", "TBX_BRIDGE="+boxDir(l))
	evil.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err := evil.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := evil.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	evil.Stderr = os.Stderr
	if err := evil.Start(); err != nil {
		t.Fatal(err)
	}
	defer evil.Wait()
	defer in.Close() // it then lets go of what waits for it; killing it would not
	buf := make([]byte, 64)
	n, _ := out.Read(buf)
	if got := strings.TrimSpace(string(buf[:n])); got != "flush is pending" {
		t.Fatalf("the server said %q", got)
	}
	for range 10 {
		works(t, b)
	}
	if out, err := exec.Command("timeout", "10", "ps", "-eo", "pid,args").CombinedOutput(); err != nil {
		t.Errorf("ps hangs: %v %.200s", err, out)
	}
}
