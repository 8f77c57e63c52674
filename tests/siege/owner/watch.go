package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// observe compares the host with what it has to be.
func (s *siege) observe() {
	for path, want := range s.kept {
		if got := stateOf(path); got != want {
			s.log.find("a file of the owner was changed", "%s: was %v, is %v", path, want, got)
			s.kept[path] = got
		}
	}
	s.programsAreOurs()
	s.readOnlyIsWhole()
	s.marks()
	s.processesOfOthers()
	s.reports()
	s.auditLog()
}

// Bounds of the log of host commands, docs/host-policy.md; what a file may have beyond is one line.
const (
	maxLine = 8<<10 + 1 // with its end
	maxFile = 10<<20 + maxLine
	maxKept = 11 << 20
)

// auditLog: whatever the adversary asks of the host, the log stays within its bounds, a line is a line, and what another
// toolbox was denied is in it.
func (s *siege) auditLog() {
	for range 3 { // files are renamed meanwhile
		if s.readLog() {
			return
		}
	}
	s.log.find("a line of another toolbox is gone from the log of host commands", "%s", s.canary())
}

// readLog looks at all of the log and says whether the canary is in it.
func (s *siege) readLog() (canary bool) {
	files, _ := filepath.Glob(s.home + "/.local/state/tbx/host-audit.jsonl*")
	sum := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if sum += len(data); len(data) > maxFile && !strings.HasSuffix(path, ".kept") || len(data) > maxKept {
			s.log.find("the log of host commands grows", "%s: %d bytes", path, len(data))
		}
		canary = canary || bytes.Contains(data, []byte(s.canary()))
		for line := range bytes.Lines(data) {
			if bytes.HasSuffix(line, []byte("\n")) && (len(line) > maxLine || !json.Valid(line)) {
				s.log.find("a line of the log of host commands is none", "%s: %d bytes: %.300q", path, len(line), line)
			}
		}
	}
	s.log.most("bytes in the log of host commands", sum)
	return canary
}

// readOnlyIsWhole: nothing comes into what is shared to read, but for empty directories that podman's own starts make where
// links of the toolbox lead (docs/isolated.md); they are removed for the next look.
func (s *siege) readOnlyIsWhole() {
	dir := s.config.ReadOnly[0]
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.log.find("what is shared to read was changed", "%v", err)
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Name() == "below" {
			continue
		}
		if !s.behindTbx || !onlyDirectories(path) {
			s.log.find("what is shared to read was changed", "%s: %v", path, e)
		}
		s.log.count(s.log.acts, "empty directory made by podman's start")
		exec.Command("podman", "unshare", "find", path, "-depth", "-type", "d", "-empty", "-delete").Run()
	}
	s.behindTbx = false
}

// onlyDirectories says whether there is nothing but directories at and below path.
func onlyDirectories(path string) bool {
	only := true
	filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		only = only && err == nil && d.IsDir()
		return nil
	})
	return only
}

// strayTime is how long what a runtime has made may be there, until tbx has looked.
const strayTime = time.Minute

// programsAreOurs: tbx-box in the owner's home is one that was installed, and nobody else has put anything beside it. Of a
// start by podman tbx hears later: the runtime's directories may be there until its own next one.
func (s *siege) programsAreOurs() {
	filepath.WalkDir(s.home+"/.local/share/tbx/box", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		fi, err := d.Info()
		if err != nil || fi.Sys().(*syscall.Stat_t).Uid == uint32(os.Getuid()) {
			delete(s.strays, path)
		} else if first, known := s.strays[path]; !known {
			s.strays[path] = time.Now()
		} else if time.Since(first) > strayTime {
			s.log.find("somebody else's in the directory of tbx's programs", "%s: %v", path, fi.Mode())
		}
		if isAdversary(path) {
			s.log.find("the adversary's program among tbx's", "%s", path)
		}
		// One of an earlier version is in a directory with the beginning of its hash.
		if sum := sumOf(path); d.Name() == "tbx-box" && d.Type().IsRegular() && !s.programs[sum] && !strings.HasPrefix(sum, filepath.Base(filepath.Dir(path))) {
			s.log.find("tbx-box of the host is another one", "%s: %s", path, sum)
		}
		return nil
	})
}

// marks looks for what the adversary wrote, outside of what it may write to.
func (s *siege) marks() {
	for _, root := range []string{s.home, s.run, "/tmp"} {
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if path == s.dir || path == s.home+"/.local/share/containers" || path == s.home+"/.cache" || path == s.home+"/go" || path == s.home+"/snap" {
				return fs.SkipDir
			}
			if strings.Contains(d.Name(), s.config.Evil) {
				s.log.find("the adversary made a file on the host", "%s", path)
			}
			if !d.Type().IsRegular() || strings.HasPrefix(path, s.home+"/.local/state/tbx/") {
				return nil // logs say what was asked
			}
			if fi, err := d.Info(); err != nil || fi.Size() > 1<<20 || fi.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
				return nil
			}
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil
			}
			f := os.NewFile(uintptr(fd), path)
			defer f.Close()
			if data, err := io.ReadAll(io.LimitReader(f, 1<<20)); err == nil && bytes.Contains(data, []byte(s.config.Evil)) {
				s.log.find("the adversary wrote into a file of the host", "%s", path)
			}
			return nil
		})
	}
}

// processesOfOthers looks for processes that the adversary started and that are on the host.
func (s *siege) processesOfOthers() {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if ns, err := os.Readlink(dir + "/ns/mnt"); err != nil || ns != s.config.Spaces["mnt"] || filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		env, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(env, []byte("SIEGE_EVIL=")) {
			s.log.find("a process of the adversary's is on the host", "%s: %s", dir, cmdline(dir))
		}
		if isAdversary(dir + "/exe") {
			s.log.find("the adversary's program runs on the host", "%s: %s", dir, cmdline(dir))
		}
	}
}

// isAdversary says whether a file is a copy of the adversary.
func isAdversary(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	tail := make([]byte, 14)
	if fi, err := f.Stat(); err == nil && fi.Size() > 64 {
		f.ReadAt(tail, fi.Size()-14)
	}
	return bytes.Contains(tail, []byte("siege-config"))
}

// tree describes a process and those below it, as they are.
func tree(pid int) string {
	dir := "/proc/" + strconv.Itoa(pid)
	var waits []string
	threads, _ := filepath.Glob(dir + "/task/*/wchan")
	for _, file := range threads {
		wait, _ := os.ReadFile(file)
		waits = append(waits, string(wait))
	}
	out := fmt.Sprintf("\n    %d waits in %s: %s\n     ", pid, strings.Join(waits, " "), cmdline(dir))
	status, _ := os.ReadFile(dir + "/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "State") || strings.HasPrefix(line, "Sig") || strings.HasPrefix(line, "ShdPnd") || strings.HasPrefix(line, "TracerPid") {
			out += " " + strings.Join(strings.Fields(line), " ")
		}
	}
	tasks, _ := filepath.Glob(dir + "/task/*/children")
	for _, file := range tasks {
		children, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				out += tree(n)
			}
		}
	}
	return out
}

func cmdline(dir string) string {
	data, _ := os.ReadFile(dir + "/cmdline")
	return strings.ReplaceAll(string(data[:min(len(data), 300)]), "\x00", " ")
}

// reports reads what plants have left in the shares, and on the host.
func (s *siege) reports() {
	for _, share := range append([]string{"/tmp"}, s.config.Shares...) {
		dir, err := unix.Openat2(unix.AT_FDCWD, filepath.Join(share, pack.ReportDir), &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
		if err != nil {
			continue
		}
		d := os.NewFile(uintptr(dir), share)
		names, _ := d.Readdirnames(1000)
		for _, name := range names {
			if !strings.HasPrefix(name, "report-") {
				continue
			}
			fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			f := os.NewFile(uintptr(fd), name)
			lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
			for lines.Scan() {
				s.hear(prefix+filepath.Base(share), false, lines.Bytes())
			}
			f.Close()
			unix.Unlinkat(dir, name, 0)
		}
		d.Close()
	}
}

// end removes the toolboxes and looks for what stays.
func (s *siege) end() {
	for _, name := range append(s.names(), prefix+"plain", prefix+"vault") {
		if name == prefix+"vault" {
			if out, code := s.tbx("run", name, "--", "cat", s.home+"/secret"); code != 0 || !strings.Contains(out, s.secret+"-vault") {
				s.log.find("another toolbox was changed", "%s: exit code %d: %s", name, code, out)
			}
		}
		if out, code := s.tbx("rm", "--force", "--yes", name); code != 0 && !strings.Contains(out, "there is no toolbox") {
			s.log.find("a toolbox cannot be removed", "tbx rm --force %s: exit code %d: %s", name, code, out)
		}
	}
	out, _ := exec.Command("podman", "ps", "--all", "--format", "{{.Names}}").Output()
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, prefix) {
			s.log.find("a container is left", "%s", name)
		}
	}
	if volumes, _ := exec.Command("podman", "volume", "ls", "--quiet").Output(); strings.Contains(string(volumes), "tbx-home-") {
		s.log.find("a private home is left", "%s", volumes)
	}
}

func (s *siege) names() []string {
	var out []string
	for _, b := range s.boxes {
		out = append(out, b.name, b.name+"-renamed", b.name+"-clone")
	}
	return out
}

// clear leaves the machine as it was, also after a siege that could not be laid.
func (s *siege) clear() {
	for _, name := range append(s.names(), prefix+"plain", prefix+"vault") {
		if exec.Command("podman", "container", "exists", name).Run() == nil {
			s.command(exitContext(), "rm", "--force", "--yes", name).Run()
			exec.Command("podman", "rm", "--force", "--time", "0", name).Run()
		}
	}
	out, _ := exec.Command("podman", "images", "--format", "{{.Repository}}:{{.Tag}}").Output()
	for _, image := range strings.Fields(string(out)) {
		if strings.HasPrefix(image, "localhost/siege:") {
			exec.Command("podman", "rmi", "--force", image).Run()
		}
	}
	for _, f := range s.close {
		f()
	}
	if s.dir != "" {
		exec.Command("chmod", "-R", "u+rwX", s.dir).Run()
		if os.RemoveAll(s.dir) != nil { // files of subordinate ids
			exec.Command("podman", "unshare", "rm", "-rf", s.dir).Run()
		}
	}
	os.RemoveAll("/tmp/" + pack.ReportDir)
}
