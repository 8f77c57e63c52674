package auto

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
	"github.com/tbx-project/tbx/osupdate/auto/tell"
)

// Memory is what is kept from one run to the next, /var/lib/tbx/host/auto.json.
type Memory struct {
	machine.Record
	Failing   []string  `json:"failing,omitempty"`    // what failed when the update was fetched, and is not its fault
	TakenOver []string  `json:"taken_over,omitempty"` // units of others that tbx has masked
	Blockers  []string  `json:"blockers,omitempty"`   // layered packages that do not fit the update
	Told      tell.Told `json:"told,omitempty"`
}

const memoryFile = "auto.json"

// maxMemory is many times what a memory ever takes.
const maxMemory = 1 << 20

// Recall reads the memory in dir; an empty one where there is none. A file that cannot be
// one is an error: what was denied, and how often the machine was restarted, must not be
// forgotten in silence.
func Recall(dir string) (Memory, error) {
	var m Memory
	path := filepath.Join(dir, memoryFile)
	fi, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() > maxMemory) {
		err = errors.New("it is no regular file of a plausible size")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		return m, fail.Wrap(osupdate.ErrPermission, err, "the memory of automatic updates").Hint("run it with sudo")
	case err != nil:
		return m, fail.Wrap(osupdate.ErrCorrupt, err, "%s cannot be read: automatic updates have forgotten what was denied", path).
			Hint("look at it, move it away, and begin anew: tbx host auto now")
	case m.Format > machine.Format:
		return m, fail.New(fail.Unable, "%s was written by a newer tbx", path).Hint("install that one again, or move the file away")
	}
	return m, nil
}

// Keep writes the memory down to the disk, whole or not at all.
func Keep(dir string, m Memory) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, memoryFile), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fail.Wrap(osupdate.ErrPermission, err, "automatic updates cannot write down what they do, and do nothing").
			Hint("see whether /var is full or read-only")
	}
	return nil
}
