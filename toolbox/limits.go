package toolbox

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// What an isolated toolbox may use of the machine, so that a program inside does
// not take from the host what the host needs to go on.

const (
	pidsLimit      = 4096     // processes and threads
	nofileLimit    = 65536    // open files of one process
	defaultShmSize = "64m"    // podman's own
	minMemory      = 16 << 20 // bytes: with less not even a shell starts
	minShmSize     = 64 << 10
)

// defaultMemory is the limit where the user asks for none, as it is written into
// the specification: what the host keeps is a quarter of its memory.
func defaultMemory(h *Host) string {
	if !h.limits("memory") || h.RAM == nil {
		return ""
	}
	return strconv.FormatInt(h.RAM()/4*3>>20, 10) + "m"
}

func (h *Host) limits(controller string) bool { return h.Limits != nil && h.Limits(controller) }

// limit puts into p what limits the toolbox, as far as this host can.
func (p *Plan) limit(s *Spec, h *Host) error {
	if h.limits("pids") {
		p.Pids = pidsLimit
	}
	p.Nofile = nofileLimit
	if h.Nofile != nil {
		p.Nofile = min(p.Nofile, h.Nofile()) // podman cannot raise it
	}
	var err error
	if s.Memory != "" && s.Memory != "0" && h.limits("memory") {
		if p.Memory, err = parseSize("--memory", s.Memory, minMemory); err != nil {
			return err
		}
	}
	size := s.ShmSize
	if size == "" {
		size = defaultShmSize
	}
	p.ShmSize, err = parseSize("--shm-size", size, minShmSize)
	return err
}

// checkLimits refuses limits that are none, or that this machine cannot keep.
func checkLimits(h *Host, o *CreateOptions) error {
	if o.Memory != "" && o.Memory != "0" {
		if _, err := parseSize("--memory", o.Memory, minMemory); err != nil {
			return err
		}
		if !h.limits("memory") {
			return fail.New(fail.Unable, "--memory %s: memory cannot be limited here, because systemd has not given your session the memory controller of cgroups", o.Memory).
				Hint("leave --memory away; pids and open files are limited as far as they can be, see: tbx create --dry-run")
		}
	}
	if o.ShmSize != "" {
		_, err := parseSize("--shm-size", o.ShmSize, minShmSize)
		return err
	}
	return nil
}

// parseSize reads a number of bytes as podman does: 1024, 64k, 512m, 2g.
func parseSize(flag, s string, least int64) (int64, error) {
	bad := func(why string) (int64, error) {
		return 0, fail.New(fail.Usage, "%s %q: %s", flag, s, why).Hint("write a number and b, k, m or g, such as 512m or 4g")
	}
	number, unit := s, int64(1)
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		number = s[:i]
		switch strings.TrimSuffix(strings.ToLower(s[i:]), "b") {
		case "":
		case "k":
			unit = 1 << 10
		case "m":
			unit = 1 << 20
		case "g":
			unit = 1 << 30
		case "t":
			unit = 1 << 40
		default:
			return bad("it is not a size")
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil || n > math.MaxInt64/unit:
		return bad("it is not a size")
	case n*unit < least:
		return bad("it is too little, the least is " + strconv.FormatInt(least>>10, 10) + "k")
	}
	return n * unit, nil
}

// ram is the machine's memory in bytes.
func ram() int64 {
	var i unix.Sysinfo_t
	if err := unix.Sysinfo(&i); err != nil {
		return 0
	}
	return int64(i.Totalram) * int64(i.Unit)
}

// nofile is the caller's limit of open files, getrlimit(2).
func nofile() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Max > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(l.Max)
}

// renderNodes are what programs need of a GPU that computes or draws into
// memory: the nodes made for programs without rights, and AMD's for computing.
// The cards themselves, which set modes and share buffers by number, stay away.
func renderNodes() []string {
	out, _ := filepath.Glob("/dev/dri/renderD*")
	if _, err := os.Stat("/dev/kfd"); err == nil {
		out = append(out, "/dev/kfd")
	}
	return out
}

// gpuDevices are the GPUs of the host, as nodes and as CDI names.
func (h *Host) gpuDevices() []string {
	var out []string
	if h.RenderNodes != nil {
		out = h.RenderNodes()
	}
	return append(out, integration.NVIDIA(h.CDI)...)
}
