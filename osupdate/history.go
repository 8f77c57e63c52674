package osupdate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is one line of the history: an operation that began, or ended. An entry
// that began and never ended was interrupted.
type Entry struct {
	Op       string    `json:"op"`    // same for the two lines of one operation
	Phase    string    `json:"phase"` // begin or end
	Time     time.Time `json:"time"`
	Boot     string    `json:"boot"` // boot id, /proc/sys/kernel/random/boot_id
	User     int       `json:"user"`
	Backend  Kind      `json:"backend"`
	Request  Request   `json:"request"`
	From     string    `json:"from,omitempty"`     // name of the system that ran or would have booted
	Intended string    `json:"intended,omitempty"` // name of the system that boots next, after
	Content  string    `json:"content,omitempty"`  // what it holds
	Outcome  string    `json:"outcome,omitempty"`  // done, unchanged or failed
	Problem  string    `json:"problem,omitempty"`
	Message  string    `json:"message,omitempty"`
}

const historyFile = "history.jsonl"

// record appends e, in one write and down to the disk, so that a crash leaves
// whole lines and at most one torn one at the end.
func record(dir string, e Entry) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, historyFile), os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	data = append(data, '\n')
	if fi, err := f.Stat(); err == nil && fi.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, fi.Size()-1); err == nil && last[0] != '\n' {
			data = append([]byte{'\n'}, data...) // close the torn line
		}
	}
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// readHistory returns the entries of several directories by time. Lines that are
// torn or from a newer tbx are left out.
func readHistory(dirs []string) ([]Entry, error) {
	var all []Entry
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, historyFile))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		all = append(all, parseHistory(data)...)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return all, nil
}

func parseHistory(data []byte) []Entry {
	var out []Entry
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var e Entry
		if json.Unmarshal(sc.Bytes(), &e) == nil && e.Op != "" && (e.Phase == "begin" || e.Phase == "end") {
			out = append(out, e)
		}
	}
	return out
}

// interrupted is the last operation that began and did not end, unless a later
// one ended well.
func interrupted(entries []Entry) *Entry {
	ended := map[string]bool{}
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		switch {
		case e.Phase == "end" && e.Outcome != "failed":
			return nil
		case e.Phase == "end":
			ended[e.Op] = true
		case !ended[e.Op]:
			return e
		}
	}
	return nil
}

// unbooted returns the last change of an earlier boot whose system is not the
// one that runs now: finalising it at shutdown failed, or somebody chose another.
func unbooted(entries []Entry, boot string, booted *Deployment) *Entry {
	if booted == nil {
		return nil
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if e.Phase != "end" || e.Outcome != "done" || e.Content == "" {
			continue
		}
		if e.Boot == boot || e.Content == booted.Content() {
			return nil
		}
		return e
	}
	return nil
}

// bootID is this boot's id; empty where /proc is not there.
func bootID(root string) string {
	p := probe{root: cmp.Or(root, "/")}
	return string(bytes.TrimSpace([]byte(p.read("proc/sys/kernel/random/boot_id"))))
}
