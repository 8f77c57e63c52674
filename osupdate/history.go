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
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is one line of the history: an operation that began, or ended. An entry that
// began and never ended was interrupted.
type Entry struct {
	Op       string    `json:"op"`    // same for the two lines of one operation
	Phase    string    `json:"phase"` // begin or end
	Time     time.Time `json:"time"`
	Boot     string    `json:"boot"` // boot id, /proc/sys/kernel/random/boot_id
	User     int       `json:"user"`
	Backend  Kind      `json:"backend"`
	Request  Request   `json:"request"`
	Sysroot  string    `json:"sysroot,omitempty"`  // the directory that --sysroot named; empty: the running host
	From     string    `json:"from,omitempty"`     // name of the system that ran or would have booted
	Follows  string    `json:"follows,omitempty"`  // what the host followed before
	Running  string    `json:"running,omitempty"`  // content of the system that ran
	Intended string    `json:"intended,omitempty"` // name of the deployment that should boot next once the operation is done
	Content  string    `json:"content,omitempty"`  // its content
	Staged   bool      `json:"staged,omitempty"`   // it was to be written at shutdown
	Outcome  string    `json:"outcome,omitempty"`  // done, unchanged or failed
	Problem  string    `json:"problem,omitempty"`
	Message  string    `json:"message,omitempty"`
}

const historyFile = "history.jsonl"

// record appends e, in one write and synced to the disk, so that a crash leaves whole
// lines and at most one torn one at the end.
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

// readHistory returns the entries of several directories by time. It leaves out torn
// lines and those of a newer tbx.
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

// interrupted returns the last operation that began and did not end, unless a later one
// ended well.
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

// atWork reports whether the tbx that began e still runs: its number is in Op.
func atWork(e *Entry, boot string) bool {
	if e == nil || e.Boot != boot {
		return false
	}
	pid, err := strconv.Atoi(e.Op[strings.LastIndexByte(e.Op, '-')+1:])
	return err == nil && strings.HasPrefix(processName(pid), "tbx")
}

// moves are the verbs that change the system of the next boot.
func moves(v Verb) bool {
	switch v {
	case Upgrade, Switch, BuildVerb, Install, Uninstall, OverrideReplace, OverrideRemove, OverrideReset, Kargs, Initramfs:
		return true
	}
	return false
}

// unbooted returns the last system that tbx staged and that was lost before it booted:
// the system that ran then runs again, and the staged one no longer exists. If another
// system runs, somebody else may have installed it; if the staged one exists, another was
// chosen. Neither is evidence of a loss.
func unbooted(entries []Entry, boot string, s *State) *Entry {
	booted := s.Booted()
	if booted == nil {
		return nil
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if e.Phase != "end" || e.Outcome != "done" || e.Request.Verb == Pin || e.Request.Verb == Unpin {
			continue
		}
		there := slices.ContainsFunc(s.Deployments, func(d Deployment) bool { return d.Content() == e.Content })
		old := e.Running == "" // written by a tbx that recorded neither
		switch {
		case e.Content == "" || e.Boot == boot || there || !moves(e.Request.Verb) || e.Request.DownloadOnly:
			return nil
		case !old && (!e.Staged || e.Running != booted.Content()):
			return nil
		}
		return e
	}
	return nil
}

// now is the running system and its boot. A soft reboot keeps the boot's id, so the
// content of the running system counts too.
type now struct{ boot, content string }

// did reports whether e was done in this boot of this system.
func (n now) did(e *Entry) bool {
	return e.Boot == n.boot && (e.Running == "" || e.Running == n.content)
}

// chosen returns the kind of verb by which tbx chose the system of that content for the
// next boot, since the running one started; empty if tbx did not.
func chosen(entries []Entry, n now, content string) BootBy {
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if !n.did(e) {
			return ""
		}
		if e.Phase != "end" || e.Outcome != "done" || e.Content == "" || e.Request.Verb == Pin || e.Request.Verb == Unpin {
			continue
		}
		switch {
		case e.Content != content:
			return ""
		case e.Request.Verb == Rollback:
			return ByRollback
		case moves(e.Request.Verb):
			return ByUpdate
		}
		return ""
	}
	return ""
}

// lastWentBack reports whether the last change since the running system started was a
// rollback without a target, to the system of that content: a second one has nothing to
// do.
func lastWentBack(entries []Entry, n now, content string) bool {
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if !n.did(e) {
			return false
		}
		if e.Phase != "end" || e.Outcome != "done" || e.Request.Verb == Pin || e.Request.Verb == Unpin {
			continue
		}
		return e.Request.Verb == Rollback && e.Request.Target == "" && e.Content == content
	}
	return false
}

// of returns the entries about one sysroot; empty is the running host.
func of(entries []Entry, sysroot string) []Entry {
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.Sysroot != sysroot })
}

// BootID returns this boot's id; empty without /proc.
func BootID(root string) string {
	p := probe{root: cmp.Or(root, "/")}
	return string(bytes.TrimSpace([]byte(p.read("proc/sys/kernel/random/boot_id"))))
}
