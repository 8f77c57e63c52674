package bridge

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// lookup finds running toolboxes in tbx's records. Every request asks it. It reads the
// records again when one was added, removed or replaced, because each of these changes
// the directory's time.
type lookup struct {
	runtime string // tbx's runtime directory

	mu    sync.Mutex
	stamp time.Time // of the directory when the records were read; zero: not yet
	boxes map[string]found
}

// found is a toolbox and its record.
type found struct {
	box    hostbridge.Box
	record *join.Record
}

// settled is the time for which a directory must have been unchanged before its time can
// reveal the next change: file times have the grain of the kernel's clock.
const settled = time.Second

func (l *lookup) find(_ context.Context, id string) (hostbridge.Box, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir := filepath.Join(l.runtime, "toolboxes")
	fi, err := os.Stat(dir)
	if err != nil || l.stamp.IsZero() || !fi.ModTime().Equal(l.stamp) {
		l.read(dir)
		if l.stamp = (time.Time{}); err == nil && time.Since(fi.ModTime()) > settled {
			l.stamp = fi.ModTime()
		}
	}
	f, ok := l.boxes[id]
	if !ok {
		return hostbridge.Box{}, fail.New(fail.NotFound, "no running toolbox %s is on record", id)
	}
	if start, err := join.StartTime(f.record.PID); err == nil && start == f.record.StartTime {
		f.box.Pid = f.record.PID
	}
	return f.box, nil
}

func (l *lookup) read(dir string) {
	l.boxes = map[string]found{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, file := range files {
		r, err := join.Load(l.runtime, strings.TrimSuffix(filepath.Base(file), ".json"))
		if err != nil || r.Bridge == "" || slices.Contains(r.Without, integration.Bridge) {
			continue
		}
		box := hostbridge.Box{ID: cli.BridgeID(r.Bridge), Name: r.Name, Isolated: r.Isolated}
		for _, m := range r.Mounts {
			box.Shares = append(box.Shares, hostbridge.Share{Host: m.Host, Box: m.Box})
		}
		l.boxes[box.ID] = found{box, r}
	}
}
