package toolbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
)

// Snapshot is the contents of a toolbox at one moment.
type Snapshot struct {
	Name      string    `json:"name"`
	Toolbox   Name      `json:"toolbox"`    // its name when the snapshot was made
	ToolboxID string    `json:"toolbox_id"` // Spec.ID, which a rename does not change
	Created   time.Time `json:"created"`
	Reason    string    `json:"reason"`
	Automatic bool      `json:"automatic"` // made by tbx before it changed something
	Image     string    `json:"image"`
	ImageID   string    `json:"image_id"`
	Entries   int64     `json:"entries"`
	Bytes     int64     `json:"bytes"` // of the files; shared blocks count fully
	Spec      *Spec     `json:"spec"`  // the settings at that time

	Container string `json:"-"` // podman's id of the container that keeps it
}

// BeforeRollback is the name of the snapshot that a rollback makes.
const BeforeRollback = "before-rollback"

// Labels of the container that keeps a snapshot. It is never started. It does not have
// Toolbx's label, or has it with "no" if its image has it, so that it is not taken for a
// toolbox.
const (
	LabelSnapshotOf = "io.tbx.snapshot-of" // Spec.ID of the toolbox
	holderPrefix    = "tbx-snapshot-"
	holderCommand   = "/this-container-keeps-a-snapshot-and-is-not-started"
	// holderPod is a pod without any process. podman removes containers that were never
	// started by "container prune" and "system prune", but not those in a pod.
	holderPod = "tbx-snapshots"
)

var (
	holderName   = regexp.MustCompile(`^` + holderPrefix + `[0-9a-f]{12}$`)
	snapshotName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
)

// maxSnapshotName is the longest name of a snapshot.
const maxSnapshotName = 64

// ParseSnapshotName checks a snapshot's name from outside.
func ParseSnapshotName(s string) (string, error) {
	if len(s) > maxSnapshotName || !snapshotName.MatchString(s) {
		return "", fail.New(fail.Usage, "the name %s cannot be a snapshot's", escape.Quote(s[:min(len(s), maxSnapshotName)])).
			Hint("use up to %d letters, digits, '_', '.' and '-', and begin with a letter or a digit", maxSnapshotName)
	}
	return s, nil
}

// holder is a container that keeps a snapshot, or will.
type holder struct {
	Container
	dir    string  // directory of podman's files about the container, and of the record
	record *record // nil: the snapshot is not finished
	bad    error   // or the record is unreadable
}

// unsettled reports whether a tbx was killed while it made the snapshot or rolled back to
// it, or is doing that now.
func (h *holder) unsettled() bool {
	return h.bad == nil && (h.record == nil || h.record.Next != nil)
}

// record is tbx's file about a snapshot, beside its container and removed with it.
type record struct {
	Snapshot *Snapshot `json:"snapshot"`
	// Inode is that of the directory with the snapshot's files, which moves along when
	// layers are exchanged. While Next is set, a rollback is running: once the directory
	// is another one, the container keeps Next.
	Inode uint64    `json:"inode"`
	Next  *Snapshot `json:"next,omitempty"`
}

const recordFile = "tbx-snapshot.json"

func (h *holder) load() error {
	data, err := ownfile.Read(filepath.Join(h.dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		h.record = nil
		return nil
	} else if err != nil {
		return err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil || r.Snapshot == nil || r.Snapshot.Spec == nil ||
		r.Snapshot.ToolboxID != h.Labels[LabelSnapshotOf] {
		return fail.New(nil, "the record of the snapshot in container %s is unreadable: %s", h.Name, filepath.Join(h.dir, recordFile)).
			Hint("look at its files with: podman mount %s, within podman unshare", h.Name)
	}
	for _, s := range []*Snapshot{r.Snapshot, r.Next} {
		if s != nil {
			s.Container = h.ID
		}
	}
	h.record = r
	return nil
}

// saveRecord writes the record, and the notice for the case that the container is lost.
func (m *Manager) saveRecord(h *holder) error {
	data, err := json.Marshal(h.record)
	if err == nil {
		err = atomicfile.Write(filepath.Join(h.dir, recordFile), data, 0o600)
	}
	if err != nil {
		return fail.Wrap(nil, err, "snapshot %s of toolbox %s cannot be recorded", h.record.Snapshot.Name, h.record.Snapshot.Toolbox)
	}
	if err := m.rememberSnapshot(h); err != nil {
		m.debug("the loss of snapshot %s would not be noticed: %v", h.record.Snapshot.Name, err)
	}
	return nil
}

// newHolder returns the plan of a container that keeps a snapshot of a toolbox. Its layer
// fits the toolbox's: the same image, the same ids.
func (m *Manager) newHolder(s *Spec) *Plan {
	id := make([]byte, 6)
	rand.Read(id)
	return &Plan{
		Name: Name(holderPrefix + hex.EncodeToString(id)), Image: s.ImageID, Command: []string{holderCommand},
		User: strconv.Itoa(m.Host.UID) + ":" + strconv.Itoa(m.Host.GID), Pod: holderPod,
		// Each of them, always: an image can set a missing one.
		Labels: map[string]string{
			LabelSnapshotOf: s.ID, LabelSpecification: s.specLabel(), LabelIsolated: strconv.FormatBool(s.Isolated),
			LabelToolbx: "false", LabelID: "", LabelSpec: "", LabelVersion: strconv.Itoa(SpecVersion), LabelReplaces: "", labelDevcontainer: "",
		},
	}
}

// isHolder reports whether tbx made the container to keep a snapshot. Labels are not
// enough, because an image may have them.
func isHolder(c *Container) bool {
	return holderName.MatchString(c.Name) && len(c.Command) > 0 && c.Command[0] == holderCommand && c.Labels[LabelSnapshotOf] != ""
}

// The list of known snapshots, to notice a loss.

// knownSnapshot is one of them.
type knownSnapshot struct {
	Name    string `json:"name"`
	Toolbox Name   `json:"toolbox"`
	Of      string `json:"of"`  // id of the toolbox's specification
	Dir     string `json:"dir"` // directory of podman's files about the container
}

func (m *Manager) knownDir() string { return filepath.Join(m.Host.Dirs.State, "snapshots") }

func (m *Manager) rememberSnapshot(h *holder) error {
	s := h.record.Snapshot
	data, err := json.Marshal(knownSnapshot{s.Name, s.Toolbox, s.ToolboxID, h.dir})
	if err == nil {
		err = os.MkdirAll(m.knownDir(), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(m.knownDir(), h.ID+".json"), data, 0o600)
	}
	return err
}

func (m *Manager) forgetSnapshot(id string) { removeFile(filepath.Join(m.knownDir(), id+".json")) }

// tellLost reports, once, each snapshot of the toolbox, or with "" of all, whose
// container somebody removed by podman.
func (m *Manager) tellLost(toolboxID string) {
	files, _ := os.ReadDir(m.knownDir()) // not there: none was made
	for _, f := range files {
		var k knownSnapshot
		data, err := ownfile.Read(filepath.Join(m.knownDir(), f.Name()))
		if err != nil || json.Unmarshal(data, &k) != nil || k.Dir == "" || toolboxID != "" && k.Of != toolboxID {
			continue
		}
		// The storage itself may be another one today, or missing now.
		if _, err := os.Stat(filepath.Dir(k.Dir)); err != nil {
			continue
		}
		if _, err := os.Stat(k.Dir); errors.Is(err, fs.ErrNotExist) {
			m.Progress.Warn("snapshot "+k.Name+" of toolbox "+string(k.Toolbox)+" is lost: its container was removed, not by tbx",
				"podman's rm, pod rm and system reset do that, its prune does not; the toolbox and the other snapshots are untouched")
			m.forgetSnapshot(strings.TrimSuffix(f.Name(), ".json"))
		}
	}
}

// Text returns the specification as in its file, without the comment at its head.
func (s *Spec) Text() string { return string(s.encode()) }
