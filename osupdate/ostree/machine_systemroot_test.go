//go:build system && systemroot

package ostree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
)

// machine is a lab that runs: what a boot loader would boot is the root of a mount
// and pid namespace, as ostree-prepare-root(1) leaves it, with this machine's /usr
// over the deployment's for the programs. No init is started in it; process 1 is
// cat, and when that ends, so does everything. Its /run is new at each boot.
type machine struct {
	*lab
	script string // becomes process 1
	cmd    *exec.Cmd
	power  io.Closer // standard input of process 1
	pid    string
}

// bootScript becomes process 1 of a machine. $D is the lab, $ENTRY the entry of the
// boot loader. It refuses a deployment that is not of the lab.
const bootScript = `set -eu
options=$(sed -n 's/^options //p' "$ENTRY")
for o in $options; do case $o in ostree=*) link=${o#ostree=};; esac; done
deployment=$(readlink -f "$D/sysroot$link")
case $deployment in "$D"/sysroot/ostree/deploy/testos/deploy/*) ;; *) echo "$deployment is not of the lab" >&2; exit 1;; esac
root=$D/root; mkdir -p "$root"
mount --bind "$deployment" "$root"
mount --bind "$D/sysroot" "$root/sysroot"
mount --bind "$D/sysroot/boot" "$root/boot"
mount --bind "$D/sysroot/ostree/deploy/testos/var" "$root/var"
mount --bind /usr "$root/usr"; mount -o remount,bind,ro "$root/usr"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
touch "$root/run/ostree-booted"
mkdir -p "$root$D"; mount --bind "$D" "$root$D"
echo "$options" >"$root/run/cmdline"; mount --bind "$root/run/cmdline" "$root/proc/cmdline"
cat /proc/sys/kernel/random/uuid >"$root/run/boot"; mount --bind "$root/run/boot" "$root/proc/sys/kernel/random/boot_id"
sed "s/^btime .*/btime $(date +%s.%N)/" /proc/stat >"$root/run/stat"; mount --bind "$root/run/stat" "$root/proc/stat"
exec chroot "$root" /usr/bin/sh -c 'echo up; exec cat >/dev/null'
`

// newMachine is a lab whose trees can be the root of a running system. It is off.
func newMachine(t *testing.T) *machine { t.Helper(); return newMachineWith(t, bootScript, nil) }

// newMachineWith is newMachine that another script boots, and whose trees have more files.
func newMachineWith(t *testing.T, script string, files map[string]string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("start this test as root: it makes mount namespaces")
	}
	m := &machine{lab: newLabWith(t, files), script: script}
	bin, err := os.ReadFile("../../bin/tbx-podman")
	if err != nil {
		t.Fatalf("%v: make build makes it", err)
	}
	if err := os.WriteFile(m.dir+"/tbx", bin, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.off)
	return m
}

// boot starts what a boot loader would start.
func (m *machine) boot() {
	m.t.Helper()
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", m.script)
	cmd.Env = append(os.Environ(), "D="+m.dir, "ENTRY="+m.entry())
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.cmd, m.power = cmd, in
	up := make([]byte, 3)
	if _, err := io.ReadFull(out, up); err != nil {
		m.off()
		m.t.Fatalf("it does not boot: %v\n%s", err, said.String())
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
	if m.pid = strings.TrimSpace(string(children)); err != nil || m.pid == "" || strings.Contains(m.pid, " ") {
		m.t.Fatalf("process 1 of the machine is %q, %v", m.pid, err)
	}
}

// entry is the boot loader's file that boots: the one of the highest version.
func (m *machine) entry() string {
	m.t.Helper()
	entries, err := filepath.Glob(m.sysroot + "/boot/loader/entries/ostree-*.conf")
	if err != nil {
		m.t.Fatal(err)
	}
	best, top := "", -1
	for _, e := range entries {
		data, err := os.ReadFile(e)
		if err != nil {
			m.t.Fatal(err)
		}
		_, after, _ := strings.Cut("\n"+string(data), "\nversion ")
		v := -1
		fmt.Sscan(after, &v)
		if v > top {
			best, top = e, v
		}
	}
	return best
}

// off cuts the power: what is only staged is lost.
func (m *machine) off() {
	if m.cmd == nil {
		return
	}
	m.power.Close()
	m.cmd.Wait() // cat's code tells nothing
	m.cmd = nil
}

// inside is a command in the machine.
func (m *machine) inside(argv ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--target", m.pid, "--mount", "--pid", "--root", "--wd=/"}, argv...)...)
	cmd.Env = []string{"HOME=/root", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// shutDown does what ostree-finalize-staged.service does at a shutdown, and cuts
// the power. The error is the service's.
func (m *machine) shutDown() (string, error) {
	out, err := m.inside("ostree", "admin", "finalize-staged").CombinedOutput()
	m.off()
	return string(out), err
}

// restart is a shutdown that succeeds, and a boot.
func (m *machine) restart() {
	m.t.Helper()
	if out, err := m.shutDown(); err != nil {
		m.t.Fatalf("finalize-staged: %v\n%s", err, out)
	}
	m.boot()
}

// tbx runs `tbx host ARGS` in the machine as root, and returns all that it said.
func (m *machine) tbx(code int, args ...string) string {
	m.t.Helper()
	out, err := m.inside(append([]string{m.dir + "/tbx", "host"}, args...)...).CombinedOutput()
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		m.t.Fatal(err)
	}
	if got != code {
		m.t.Fatalf("tbx host %q: %d, want %d\n%s", args, got, code, out)
	}
	return string(out)
}

// says runs `tbx host ARGS` and wants each part in what it said.
func (m *machine) says(code int, args string, parts ...string) {
	m.t.Helper()
	out := m.tbx(code, strings.Fields(args)...)
	for _, p := range parts {
		if !strings.Contains(out, p) {
			m.t.Errorf("tbx host %s does not say %q:\n%s", args, p, out)
		}
	}
}

// status is the host as tbx inside sees it.
func (m *machine) status() *osupdate.Status {
	m.t.Helper()
	out, err := m.inside(m.dir+"/tbx", "host", "status", "--format", "json").Output()
	var st osupdate.Status
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	if err != nil || st.State == nil || st.State.Booted() == nil || !st.Detection.Booted {
		m.t.Fatalf("status: %v\n%s", err, out)
	}
	return &st
}

// runs wants that version to run, and the other to boot next.
func (m *machine) runs(booted, next string) *osupdate.Status {
	m.t.Helper()
	st := m.status()
	if st.State.Booted().Version != booted || st.State.Next().Version != next || st.State.Tracked == "" {
		m.t.Fatalf("want %s to run and %s next: %+v", booted, next, st.State)
	}
	return st
}

// etcFile writes a file in /etc of the running system.
func (m *machine) etcFile(name, text string) {
	m.t.Helper()
	cmd := m.inside("sh", "-c", `cat >"/etc/$1"`, "sh", name)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}
