package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// LayerMark is the extended attribute of a container's layer without the user's files,
// because it was exchanged or is about to be.
const LayerMark = "user.tbx.pristine"

// Verbs of a LayerOrder.
const (
	LayerLook     = "look"
	LayerExchange = "exchange"
	LayerMove     = "move" // Along alone
)

// LayerOrder is the request to Layers, as JSON on standard input.
type LayerOrder struct {
	Verb string   `json:"verb"`
	Dirs []string `json:"dirs"`
	Mark bool     `json:"mark,omitempty"` // exchange: mark the second first
	// Along are directories that belong to the layers: each first is moved to its second,
	// if the first exists and the second does not.
	Along [][2]string `json:"along,omitempty"`
}

// The obstacles to an order.
const (
	LayerMounted   = "mounted"
	LayerElsewhere = "elsewhere" // not the same file system, EXDEV
	LayerNoMark    = "no-mark"   // no extended attributes
	LayerFailed    = "failed"
)

// LayerAnswer is the answer of Layers, as JSON. With an Obstacle nothing was exchanged,
// unless it concerns the directories moved along.
type LayerAnswer struct {
	Seen     []LayerSeen `json:"seen,omitempty"`
	Obstacle string      `json:"obstacle,omitempty"`
	Dir      string      `json:"dir,omitempty"`  // where
	Text     string      `json:"text,omitempty"` // the kernel's error
}

// LayerSeen is the finding about one directory.
type LayerSeen struct {
	Missing bool   `json:"missing,omitempty"`
	Marked  bool   `json:"marked,omitempty"`
	Mounted bool   `json:"mounted,omitempty"`
	Inode   uint64 `json:"inode,omitempty"`
	Empty   bool   `json:"empty,omitempty"` // it has no entries
}

// Layers carries out one order on the layers of containers. It runs on the host as the
// root of podman's user namespace, who alone may look into them, and in podman's mount
// namespace, where they are mounted.
func Layers(in io.Reader, out io.Writer) error {
	var o LayerOrder
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("layers: %w", err)
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(o.carryOut(string(mountinfo)))
}

func (o *LayerOrder) carryOut(mountinfo string) *LayerAnswer {
	answer := &LayerAnswer{}
	for _, dir := range o.Dirs {
		seen, err := look(dir, mountinfo)
		if err != nil {
			return &LayerAnswer{Obstacle: LayerFailed, Dir: dir, Text: err.Error()}
		}
		answer.Seen = append(answer.Seen, seen)
	}
	switch {
	case o.Verb == LayerLook:
		return answer
	case o.Verb == LayerExchange && len(o.Dirs) == 2:
		for i, seen := range answer.Seen {
			if seen.Mounted {
				return &LayerAnswer{Obstacle: LayerMounted, Dir: o.Dirs[i]}
			}
		}
		if failed := o.exchange(); failed != nil {
			return failed
		}
		return o.moveAlong()
	case o.Verb == LayerMove:
		return o.moveAlong()
	}
	return &LayerAnswer{Obstacle: LayerFailed, Text: "layers: there is no order " + o.Verb}
}

func look(dir, mountinfo string) (LayerSeen, error) {
	var st unix.Stat_t
	switch err := unix.Lstat(dir, &st); {
	case errors.Is(err, unix.ENOENT):
		return LayerSeen{Missing: true}, nil
	case err != nil:
		return LayerSeen{}, err
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return LayerSeen{}, unix.ENOTDIR
	}
	n, err := unix.Lgetxattr(dir, LayerMark, nil)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
	case err != nil:
		return LayerSeen{}, err
	}
	f, oerr := os.Open(dir)
	if oerr != nil {
		return LayerSeen{}, oerr
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return LayerSeen{Marked: err == nil && n >= 0, Mounted: layerMounted(dir, mountinfo), Inode: st.Ino, Empty: len(names) == 0}, nil
}

// layerMounted reports whether a file system has the layer as its upper directory,
// proc_pid_mountinfo(5). containers/storage mounts it at "merged" beside it, by the
// kernel or a program, and uses a relative name if the options would be too long.
func layerMounted(dir, mountinfo string) bool {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	below := filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
	for _, line := range strings.Split(mountinfo, "\n") {
		fields := strings.Fields(line)
		end := slices.Index(fields, "-")
		if end < 6 || len(fields) < end+4 || !strings.Contains(fields[end+1], "overlay") {
			continue
		}
		if unescape.Replace(fields[4]) == filepath.Join(filepath.Dir(dir), "merged") {
			return true
		}
		for _, option := range strings.Split(unescape.Replace(fields[end+3]), ",") {
			upper, ok := strings.CutPrefix(option, "upperdir=")
			if ok && (upper == dir || !filepath.IsAbs(upper) && filepath.Clean(upper) == below) {
				return true
			}
		}
	}
	return false
}

// exchange exchanges two directories, and returns nil or the obstacle. Everything is on
// the disk when it returns, the mark first, by which a crash is repaired.
func (o *LayerOrder) exchange() *LayerAnswer {
	a, b := o.Dirs[0], o.Dirs[1]
	if o.Mark {
		err := unix.Lsetxattr(b, LayerMark, []byte("1"), 0)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM) {
			return &LayerAnswer{Obstacle: LayerNoMark, Dir: b, Text: err.Error()}
		}
		if err == nil {
			err = syncDir(b)
		}
		if err != nil {
			return &LayerAnswer{Obstacle: LayerFailed, Dir: b, Text: err.Error()}
		}
	}
	switch err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); {
	case errors.Is(err, unix.EXDEV):
		return &LayerAnswer{Obstacle: LayerElsewhere, Dir: a, Text: err.Error()}
	case err != nil:
		return &LayerAnswer{Obstacle: LayerFailed, Dir: a, Text: err.Error()}
	}
	for _, dir := range []string{filepath.Dir(a), filepath.Dir(b)} {
		_ = syncDir(dir) // the exchange is done: an error would deny that
	}
	return nil
}

// moveAlong moves the directories that belong to the layers.
func (o *LayerOrder) moveAlong() *LayerAnswer {
	for _, pair := range o.Along {
		err := unix.Renameat2(unix.AT_FDCWD, pair[0], unix.AT_FDCWD, pair[1], unix.RENAME_NOREPLACE)
		switch {
		case err == nil:
			_ = syncDir(filepath.Dir(pair[1])) // best effort: it is moved again after a crash
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EEXIST):
		default:
			return &LayerAnswer{Obstacle: LayerFailed, Dir: pair[0], Text: err.Error()}
		}
	}
	return &LayerAnswer{}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
