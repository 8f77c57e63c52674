package helper

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX2_Settle: a mount gets the options that it lacks, keeps those it has, and none
// beside or below it does; by a link none does. It runs in namespaces of its own,
// where it may mount; a real toolbox is in tests/system.
func TestX2_Settle(t *testing.T) {
	const where = "TBX_TEST_SETTLE"
	top := os.Getenv(where)
	if top == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestX2_Settle$", "-test.v")
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
		must(unix.Mount("tmpfs", dir, "tmpfs", flags, ""))
		return dir
	}
	flags := func(dir string) int64 {
		t.Helper()
		var st unix.Statfs_t
		must(unix.Statfs(dir, &st))
		return int64(st.Flags) & (unix.ST_NOSUID | unix.ST_NODEV | unix.ST_RDONLY) //nolint:unconvert // another type on other machines
	}
	src := mount("src", unix.MS_NOSUID)
	disk, space, beside := mount("src/disk", 0), mount("src/a b", 0), mount("srcs", 0)
	must(os.Symlink(beside, filepath.Join(top, "link")))

	ns, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY, 0)
	must(err)
	must(unix.Dup3(ns, SettleNamespace, 0))
	settle := func(m ...MountOptions) error {
		var in bytes.Buffer
		for _, one := range m {
			must(json.NewEncoder(&in).Encode(one))
		}
		done := make(chan error)
		go func() { done <- Settle(&in) }() // on a thread that is left
		return <-done
	}
	before := flags(src)
	must(settle(MountOptions{src, unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV}, MountOptions{space, unix.MOUNT_ATTR_RDONLY}))
	if got := flags(src); got != before|unix.ST_RDONLY|unix.ST_NODEV || got&unix.ST_NOSUID == 0 {
		t.Errorf("%s has %#x", src, got)
	}
	if flags(space)&unix.ST_RDONLY == 0 || flags(disk)&unix.ST_RDONLY != 0 {
		t.Errorf("%s has %#x, %s %#x", space, flags(space), disk, flags(disk))
	}
	for _, bad := range []string{filepath.Join(top, "link"), filepath.Join(top, "missing"), filepath.Join(top, "link", "x")} {
		if settle(MountOptions{bad, unix.MOUNT_ATTR_RDONLY}) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if flags(beside)&unix.ST_RDONLY != 0 {
		t.Error("a link was followed")
	}
}
