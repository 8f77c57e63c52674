package hostbridge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/atomicfile"
)

// The lines of one toolbox must push out neither the lines of another one nor its own
// denials. So before the oldest file is removed, the newest lines of each toolbox are
// copied into a file with a share for each: half for denials, half for the rest.
const (
	maxKept  = 10 << 20 // bytes of all shares
	maxShare = 1 << 20  // bytes of one; less where there are more than ten toolboxes
)

// kept is the file with the shares, which is older than all others.
func kept(path string) string { return path + ".kept" }

// keepShares adds the lines of the file that rotation removes next to those kept before.
// It skips lines that cannot be read.
func keepShares(path string) error {
	all := map[string]*share{}
	seen := map[string]bool{} // lines that a rotation which was interrupted has kept already
	n := 0
	for _, name := range []string{kept(path), rotated(path, maxLogFiles-1)} {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		eachLine(f, func(line []byte) {
			var r AuditEntry
			if seen[string(line)] || json.Unmarshal(line, &r) != nil {
				return
			}
			if name == kept(path) {
				seen[string(line)] = true
			}
			s := all[r.BoxID]
			if s == nil {
				s = &share{}
				all[r.BoxID] = s
			}
			n++
			if r.refused() {
				s.denied.add(n, line)
			} else {
				s.others.add(n, line)
			}
		})
		f.Close()
	}
	if n == 0 {
		return nil
	}
	limit := min(maxShare, maxKept/len(all)) / 2
	var lines []numbered
	for _, s := range all {
		lines = slices.Concat(lines, s.denied.within(limit), s.others.within(limit))
	}
	slices.SortFunc(lines, func(a, b numbered) int { return a.n - b.n })
	var out bytes.Buffer
	for _, l := range lines {
		out.Write(l.text)
	}
	return atomicfile.Write(kept(path), out.Bytes(), 0o600)
}

// refused reports whether the entry is about requests that were not allowed.
func (r AuditEntry) refused() bool {
	return r.Event == "refused" || r.Event == "request" && r.Decision != Allow && r.Answer != "yes"
}

// share holds the kept lines of one toolbox.
type share struct{ denied, others newest }

// newest holds the newest of some lines, up to a number of bytes.
type newest struct {
	lines []numbered
	size  int
}

// numbered is a line and its place among all.
type numbered struct {
	n    int
	text []byte
}

func (w *newest) add(n int, line []byte) {
	w.lines = append(w.lines, numbered{n, bytes.Clone(line)})
	w.size += len(line)
	w.within(maxShare / 2)
}

func (w *newest) within(limit int) []numbered {
	for w.size > limit && len(w.lines) > 0 {
		w.size -= len(w.lines[0].text)
		w.lines = w.lines[1:]
	}
	return w.lines
}

// eachLine calls each for every whole line, its newline included.
func eachLine(r io.Reader, each func(line []byte)) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // no line of the log is that long
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n')
			}
			if err != nil {
				return
			}
			continue
		}
		if err != nil {
			return
		}
		each(line)
	}
}
