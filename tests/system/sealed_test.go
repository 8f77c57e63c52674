//go:build system

package system_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestX2_Sealed: what is shared to read stays so, with what the host has mounted below
// it, for the toolbox's root too, whoever started it and after another name; the
// kernel refuses every call by which mounts are changed.
func TestX2_Sealed(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x2", image("debian"))
	must(t, os.MkdirAll(c.dir+"/disk/deep", 0o755))
	must(t, os.Mkdir(c.dir+"/ro/disk", 0o755))
	if out, err := try("sudo", "-n", "mount", "--bind", c.dir+"/disk", c.dir+"/ro/disk"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { try("sudo", "-n", "umount", c.dir+"/ro/disk") })
	nr := map[string][]any{"amd64": {165, 166, 428, 429, 442, 430, 155, 272, 308}, "arm64": {40, 39, 428, 429, 442, 430, 41, 97, 268}}[runtime.GOARCH]
	probe := fmt.Sprintf(`my ($dir) = @ARGV; my ($none, $attr, $ok) = ("", "\0" x 32, "");
		my ($one, $two) = ("tmpfs", "/mnt");
		my %%call = (
			remount => sub { syscall(%d, $none, $dir, $none, 32|4096, $none) },
			umount => sub { syscall(%d, $dir, 2) },
			open_tree => sub { syscall(%d, -100, $dir, 1) },
			move_mount => sub { syscall(%d, -100, $dir, -100, $two, 0) },
			mount_setattr => sub { syscall(%d, -100, $dir, 0, $attr, 32) },
			fsopen => sub { syscall(%d, $one, 0) },
			pivot_root => sub { syscall(%d, $two, $two) },
			unshare => sub { syscall(%d, 0x10020000) },
			setns => sub { syscall(%d, 0, 0) });
		for my $n (sort keys %%call) { my $r = $call{$n}->(); print "$n " if $r >= 0 || $! != 1 } print "\n"`, nr...)
	check := func(when string) {
		t.Helper()
		for _, root := range []bool{false, true} {
			for _, dir := range []string{"/ro", "/ro/disk"} {
				if out := c.inside(root, "touch "+c.dir+dir+"/x 2>&1 && echo written || true"); strings.Contains(out, "written") {
					t.Errorf("%s, root is %t: %s can be written: %s", when, root, dir, out)
				}
			}
			args := []string{"run", "--workdir", "/", c.name, "--", "perl", "-e", probe, c.dir + "/ro"}
			if root {
				args = append([]string{"run", "--root"}, args[1:]...)
			}
			if got := lines(tbx(t, args...)); len(got) != 0 {
				t.Errorf("%s, root is %t: the kernel does not refuse %q", when, root, got)
			}
		}
		for _, line := range lines(c.inside(false, "cat /proc/self/mountinfo")) {
			if f := strings.Fields(line); strings.HasPrefix(f[4], c.dir+"/ro") && !strings.HasPrefix(f[5], "ro,") {
				t.Errorf("%s: %s", when, line)
			}
		}
		for _, dir := range []string{"disk", "ro"} {
			if left, _ := filepath.Glob(filepath.Join(c.dir, dir, "x")); left != nil {
				t.Errorf("%s: %q", when, left)
			}
		}
	}
	check("at first")
	for _, start := range []string{"tbx", "podman"} {
		try("podman", "stop", "--time", "0", c.name)
		if start == "podman" {
			if out, err := try("podman", "start", c.name); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		check("started by " + start)
	}
	tbx(t, "rename", c.name, c.name+"-new")
	c.name += "-new"
	check("renamed while it runs")
	open := prefix + "x2-open"
	tbx(t, "create", "--quiet", "--image", image("debian"), open)
	t.Cleanup(func() { tbx(t, "rm", "--force", open) })
	if got := strings.Join(lines(tbx(t, "run", "--root", "--workdir", "/", open, "--", "perl", "-e", probe, "/usr")), " "); !strings.Contains(got, "fsopen") || !strings.Contains(got, "mount_setattr") {
		t.Errorf("the probe sees nothing: %q", got)
	}
}

// TestX6_Log: what is written to the first process's output, by whom ever, fills no
// disk of the host's, and is shown escaped.
func TestX6_Log(t *testing.T) {
	t.Parallel()
	c := newCell(t, "x6", image("busybox"))
	if got, want := strings.TrimSpace(c.inside(false, "id -u; id -g")), fmt.Sprintf("%d\n%d", os.Getuid(), os.Getgid()); got != want {
		t.Errorf("it is %q inside, want %q", got, want)
	}
	const line, fill = `printf 'first \033]52;c;aGFjaw==\007 line\n'`, `i=0; while [ $i -lt 400 ]; do head -c 20000 /dev/zero | tr '\0' x; echo; i=$((i+1)); done`
	out, err := try("tbx", "run", "--workdir", "/", c.name, "--", "sh", "-ec", line+" >/proc/1/fd/1; "+fill+" >/proc/1/fd/1")
	if err != nil {
		// Some kernels refused the user this, for a reason that is not known. podman's namespace may do it always.
		pid := strings.TrimSpace(first(try("podman", "inspect", "--format", "{{.State.Pid}}", c.name)))
		t.Logf("%v\n%s\n%s\n%s", err, out, first(try("sh", "-c", "cat /proc/"+pid+"/status; ls -l /proc/"+pid+"/ns")),
			c.inside(false, "cat /proc/self/status; ls -l /proc/self/ns"))
		if out, err := try("podman", "unshare", "sh", "-ec", line+" >/proc/"+pid+"/fd/1; "+fill+" >/proc/"+pid+"/fd/1"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	log := strings.TrimSpace(first(try("podman", "inspect", "--format", "{{.HostConfig.LogConfig.Path}}", c.name)))
	size := strings.TrimSpace(first(try("podman", "unshare", "sh", "-c", "cat "+log+"* | wc -c")))
	var n int
	if _, err := fmt.Sscan(size, &n); err != nil || n == 0 || n > 2<<20 {
		t.Errorf("%s has %q bytes", log, size)
	}
	if out, _ := try("tbx", "logs", c.name); strings.Contains(out, "\033") {
		t.Error("the log is shown as it is")
	}
}
