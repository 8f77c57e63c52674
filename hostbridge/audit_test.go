package hostbridge

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostile are texts that grow most when they are escaped.
func hostile(size int) []string {
	return []string{strings.Repeat("\x01", size), strings.Repeat(`"`, size), strings.Repeat(`\`, size), strings.Repeat("<", size),
		strings.Repeat("\u202e", size/3), strings.Repeat("\U000e0001", size/4), strings.Repeat("\xff", size), strings.Repeat("ä", size/2)}
}

// Whatever the sizes are that a toolbox sends, a line has a limit, is one line and
// can be read.
func TestB19_HostileSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l := &AuditLog{Path: path, Now: time.Now}
	var argvs [][]string
	for _, s := range hostile(1 << 20) {
		argvs = append(argvs, []string{s}, []string{"true", s}, []string{s, s, s})
	}
	argvs = append(argvs, make([]string, 64<<10), strings.Split(strings.Repeat(`"`, 60_000), ""))
	n := 0
	for _, s := range hostile(4096) {
		var names []string
		for range 32 {
			names = append(names, s)
		}
		for _, argv := range argvs {
			n++
			if _, err := l.Write(AuditEntry{Event: "request", BoxID: strings.Repeat("f", 64), Box: strings.Repeat("n", 128), PeerPid: 1 << 22, PeerUID: 1 << 31, NS: "foreign",
				Verb: s, Argv: argv, Program: s, Cwd: s, File: s, Dir: s, TTY: true, Dropped: names, Decision: Deny, Rule: s, Answer: "nobody", Reason: s + s}); err != nil {
				t.Fatal(err)
			}
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Count(data, []byte("\n")) != n {
		t.Fatalf("%d lines of %d, %v", bytes.Count(data, []byte("\n")), n, err)
	}
	longest := 0
	for line := range bytes.Lines(data) {
		longest = max(longest, len(line))
		if !json.Valid(line) {
			t.Fatalf("%q", line)
		}
	}
	if longest > maxLine || longest < maxLine/2 {
		t.Errorf("the longest line has %d bytes", longest)
	}
}

// What fits is logged as it is, to the byte; what does not says how much there was.
func TestFit(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		strings.Repeat("x", 64):  strings.Repeat("x", 64),
		strings.Repeat("x", 65):  strings.Repeat("x", 64-len("… of 65 bytes")) + "… of 65 bytes",
		strings.Repeat(`"`, 32):  strings.Repeat(`"`, 32),
		strings.Repeat("ä", 100): strings.Repeat("ä", 24) + "… of 200 bytes",
		"\x1b[0m":                `\x1b[0m`,
	} {
		if got := fit(in, 64); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// One toolbox writes as much as it likes: what another one did, and what it was
// itself denied before, is still there, and the files have their limits.
func TestB26_OneToolboxFillsTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l := &AuditLog{Path: path, Now: time.Now}
	write := func(r AuditEntry) {
		t.Helper()
		if _, err := l.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	write(AuditEntry{Event: "request", BoxID: "other", Box: "other", Argv: []string{"make", "install"}, Decision: Allow})
	write(AuditEntry{Event: "request", BoxID: "other", Box: "other", Argv: []string{"sudo", "id"}, Decision: Deny})
	write(AuditEntry{Event: "request", BoxID: "evil", Box: "evil", Argv: []string{"sudo", "cat", "/etc/shadow"}, Decision: Deny})
	flood := AuditEntry{Event: "request", BoxID: "evil", Box: "evil", Argv: []string{"true", strings.Repeat("x", 2000)}, Decision: Allow}
	line, err := encodeLine(flood)
	if err != nil {
		t.Fatal(err)
	}
	for range maxLogFiles + 2 {
		fill(t, path, line)
		write(flood) // it has a time besides, and does not fit any more
	}
	found := map[string]int{}
	err = ReadAudit(t.Context(), path, AuditFilter{}, false, func(r AuditEntry) error {
		found[r.Box+" "+strings.Join(r.Argv[:min(2, len(r.Argv))], " ")]++
		return nil
	})
	for _, want := range []string{"other make install", "other sudo id", "evil sudo cat"} {
		if err != nil || found[want] != 1 {
			t.Errorf("%s: found %d times, %v", want, found[want], err)
		}
	}
	files, _ := filepath.Glob(path + "*")
	var all int64
	for _, f := range files {
		if fi, err := os.Stat(f); err == nil {
			all += fi.Size()
		}
	}
	if len(files) != maxLogFiles+1 || all > maxLogFiles*maxLogFile+maxKept {
		t.Errorf("%d files of %d MiB", len(files), all>>20)
	}
}

// fill appends a line to the log as often as one file takes it.
func fill(t *testing.T, path string, line []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat(line, (maxLogFile-int(st.Size()))/len(line))); err != nil {
		t.Fatal(err)
	}
}

// Many toolboxes divide the place for shares, and a rotation that was interrupted
// keeps nothing twice.
func TestB26_SharesOfManyToolboxes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	var old bytes.Buffer
	for i := range 200 {
		for range 30 {
			line, err := encodeLine(AuditEntry{Seq: uint64(old.Len()), Event: "request", BoxID: "box" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Decision: Deny, Reason: strings.Repeat("r", 1000)})
			if err != nil {
				t.Fatal(err)
			}
			old.Write(line)
		}
	}
	if err := os.WriteFile(rotated(path, maxLogFiles-1), old.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for try := range 2 {
		if err := keepShares(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(kept(path))
		if err != nil || len(data) > maxKept {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		boxes := map[string]int{}
		for line := range bytes.Lines(data) {
			var r AuditEntry
			if json.Unmarshal(line, &r) != nil {
				t.Fatalf("%q", line)
			}
			boxes[r.BoxID]++
		}
		for box, n := range boxes {
			if n < 20 || len(boxes) != 200 {
				t.Errorf("%d lines of %s are kept, of %d toolboxes", n, box, len(boxes))
			}
		}
		if try == 1 && len(data) > len(first) {
			t.Errorf("%d bytes, then %d", len(first), len(data))
		}
		first = data
	}
}
