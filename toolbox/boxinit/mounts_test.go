package boxinit

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX2SealReadOnly: what the host has mounted below what is shared to read is
// read-only as well, and what is shared to change below that is not. It runs in
// namespaces of its own, where it may mount.
func TestX2SealReadOnly(t *testing.T) {
	const where = "TBX_TEST_SEAL"
	top := os.Getenv(where)
	if top == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestX2SealReadOnly$", "-test.v")
		cmd.Env = append(os.Environ(), where+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mount := func(name string, flags uintptr) string {
		t.Helper()
		dir := filepath.Join(top, name)
		must(os.MkdirAll(dir, 0o700))
		must(unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		if flags != 0 { // the way of an OCI runtime
			must(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""))
		}
		return dir
	}
	src := mount("src", 0)
	for _, name := range []string{"disk", "a b", "it"} {
		must(os.Mkdir(filepath.Join(src, name), 0o700))
	}
	disk, space, it := mount("src/disk", 0), mount("src/a b", unix.MS_NOSUID), mount("src/it", 0)
	below, beside := mount("src/it/below", 0), mount("srcs", 0)
	must(unix.Mount("", src, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))

	b := &box{cfg: Config{ReadOnly: []string{src}, Writable: []string{it}}, out: json.NewEncoder(io.Discard)}
	for range 2 {
		must(b.sealReadOnly())
	}
	for dir, readOnly := range map[string]bool{src: true, disk: true, space: true, it: false, below: false, beside: false} {
		err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)
		if (err == nil) == readOnly {
			t.Errorf("%s: %v", dir, err)
		}
	}
	var st unix.Statfs_t
	must(unix.Statfs(space, &st))
	if st.Flags&unix.ST_NOSUID == 0 {
		t.Error("it was nosuid and is not any more")
	}
}
