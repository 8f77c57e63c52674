package hostprog

import (
	"fmt"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutInherited(t *testing.T) {
	fd, err := unix.Open(t.TempDir(), unix.O_RDONLY, 0) // as a parent would leave it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	has := func() error { return exec.Command("test", "-e", fmt.Sprintf("/proc/self/fd/%d", fd)).Run() }
	if has() != nil {
		t.Fatal("a child does not inherit it, so this shows nothing")
	}
	if WithoutInherited(has) == nil {
		t.Error("it was passed on")
	}
	if has() != nil {
		t.Error("it is kept from later children too")
	}
}
