package toolbox

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// The resources that a toolbox may use: for an isolated one, so that a program inside
// leaves the host what it needs; for any other, as its user asks.

const (
	pidsLimit      = 4096     // processes and threads
	LogSize        = 1000000  // bytes of an isolated toolbox's log
	nofileLimit    = 65536    // open files of one process
	defaultShmSize = "64m"    // podman's own
	minMemory      = 16 << 20 // bytes: with less, not even a shell starts
	minShmSize     = 64 << 10
	minPids        = 16          // with less, no session can be set up
	minCPU, maxCPU = 10, 8192000 // thousandths of a processor; podman's least
)

// defaultMemory is the limit if the user sets none, as written into the specification:
// the host keeps a quarter of its memory.
func defaultMemory(h *Host) string {
	if !h.limits("memory") || h.RAM == nil {
		return ""
	}
	return strconv.FormatInt(h.RAM()/4*3>>20, 10) + "m"
}

func (h *Host) limits(controller string) bool { return h.Limits != nil && h.Limits(controller) }

// limit sets the toolbox's limits in p, as far as this host can keep them.
func (p *Plan) limit(s *Spec, h *Host) error {
	if h.limits("pids") {
		if p.Pids = s.Pids; s.Isolated && s.Pids == 0 {
			p.Pids = pidsLimit
		}
	}
	var err error
	if s.Memory != "" && s.Memory != "0" && h.limits("memory") {
		if p.Memory, err = parseSize("--memory", s.Memory, minMemory); err != nil {
			return err
		}
	}
	if s.CPUs != "" && h.limits("cpu") {
		p.CPU, err = parseCPUs(s.CPUs)
	}
	return err
}

// limitMore is limit for the resources that only an isolated toolbox has.
func (p *Plan) limitMore(s *Spec, h *Host) error {
	p.Nofile = nofileLimit
	if h.Nofile != nil {
		p.Nofile = min(p.Nofile, h.Nofile()) // podman cannot raise it
	}
	size := s.ShmSize
	if size == "" {
		size = defaultShmSize
	}
	var err error
	p.ShmSize, err = parseSize("--shm-size", size, minShmSize)
	return err
}

// checkLimits refuses invalid limits, and limits that this machine cannot keep.
func checkLimits(h *Host, o *CreateOptions) error {
	if o.Memory != "" && o.Memory != "0" {
		if _, err := parseSize("--memory", o.Memory, minMemory); err != nil {
			return err
		}
		if !h.limits("memory") {
			return noController("--memory "+o.Memory, "memory", "memory")
		}
	}
	if o.CPUs != "" && o.CPUs != "0" {
		if _, err := parseCPUs(o.CPUs); err != nil {
			return err
		}
		if !h.limits("cpu") {
			return noController("--cpus "+o.CPUs, "the time of processors", "cpu")
		}
	}
	switch {
	case o.Pids < 0 || o.Pids > 0 && o.Pids < minPids:
		return fail.New(fail.Usage, "--pids-limit %d: it is too little, the least is %d", o.Pids, minPids).Hint("0 is the default")
	case o.Pids > 0 && !h.limits("pids"):
		return noController("--pids-limit "+strconv.FormatInt(o.Pids, 10), "the number of processes", "pids")
	case o.ShmSize != "":
		_, err := parseSize("--shm-size", o.ShmSize, minShmSize)
		return err
	}
	return nil
}

// noController returns the error for a limit that cannot be kept.
func noController(asked, what, controller string) error {
	option, _, _ := strings.Cut(asked, " ")
	return fail.New(fail.Unable, "%s: %s cannot be limited here, because systemd has not given your session the %s controller of cgroups",
		asked, what, controller).
		Hint("leave out %s; the plan lists the limits that work here: tbx create --dry-run", option)
}

// parseCPUs reads a number of processors with up to three decimals, such as 1.5, and
// returns thousandths.
func parseCPUs(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole+(part + "000")[:max(3, len(part))], 10, 32)
	if err != nil || len(part) > 3 || whole == "" || n < minCPU || n > maxCPU {
		return 0, fail.New(fail.Usage, "--cpus %q: it is not a number of processors from 0.01 to 8192", s).
			Hint("write the limit in processors, such as 2 or 1.5")
	}
	return int64(n), nil
}

// cpuText writes thousandths of a processor as parseCPUs reads them.
func cpuText(n int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%03d", n/1000, n%1000), "0"), ".")
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

// renderNodes are the devices that programs need to compute on a GPU or to draw into
// memory: the nodes for programs without rights, and AMD's for computing. The cards
// themselves, which set modes and share buffers by number, are left out.
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
