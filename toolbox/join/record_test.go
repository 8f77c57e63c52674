package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// self is a record that holds, of this very process in place of a toolbox's
// first one, with podman's and the runtime's files written as they write them.
func self(t *testing.T) (dir string, r *Record) {
	t.Helper()
	dir = t.TempDir()
	table := filepath.Join(dir, "containers.json")
	write(t, table, `[{"id":"c0","names":["other"]},{"id":"c1","names":["web"]}]`)
	start, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ns, err := NamespaceID("self", "mnt")
	if err != nil {
		t.Fatal(err)
	}
	names, err := ReadNames(table)
	if err != nil {
		t.Fatal(err)
	}
	writeStatus(t, dir, os.Getpid(), start)
	state, err := FindState("/usr/bin/crun", dir, "c1")
	if err != nil {
		t.Fatal(err)
	}
	r = &Record{Name: "web", ID: "c1", PID: os.Getpid(), StartTime: start, MountNS: ns, State: state, Names: names, Home: "/"}
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeStatus(t *testing.T, dir string, pid int, start uint64) {
	t.Helper()
	write(t, filepath.Join(dir, "crun/c1/status"), `{"pid":`+strconv.Itoa(pid)+`,"process-start-time":`+strconv.FormatUint(start, 10)+`,"cgroup-path":""}`)
}

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string, r *Record)
		holds bool
	}{
		{"as recorded", func(*testing.T, string, *Record) {}, true},
		{"another boot", func(t *testing.T, dir string, r *Record) { r.BootID = "0" }, false},
		{"another start", func(t *testing.T, dir string, r *Record) { writeStatus(t, dir, r.PID, r.StartTime+1) }, false},
		{"another process", func(t *testing.T, dir string, r *Record) { writeStatus(t, dir, r.PID+1, r.StartTime) }, false},
		{"the number went to another process", func(t *testing.T, dir string, r *Record) {
			r.StartTime--
			writeStatus(t, dir, r.PID, r.StartTime)
		}, false},
		{"no status", func(t *testing.T, dir string, r *Record) { os.RemoveAll(filepath.Join(dir, "crun")) }, false},
		{"a torn status", func(t *testing.T, dir string, r *Record) { write(t, r.State.Path, `{"pid":1`) }, false},
		{"an empty status", func(t *testing.T, dir string, r *Record) { write(t, r.State.Path, ``) }, false},
		{"other containers came", func(t *testing.T, dir string, r *Record) {
			write(t, r.Names.Path, `[{"id":"c1","names":["web"]},{"id":"c2","names":["new"]}]`)
		}, true},
		{"renamed", func(t *testing.T, dir string, r *Record) { write(t, r.Names.Path, `[{"id":"c1","names":["old-web"]}]`) }, false},
		{"renamed, and the name given to another", func(t *testing.T, dir string, r *Record) {
			write(t, r.Names.Path, `[{"id":"c1","names":["old-web"]},{"id":"c2","names":["web"]}]`)
		}, false},
		{"removed", func(t *testing.T, dir string, r *Record) { write(t, r.Names.Path, `[]`) }, false},
		{"a torn table", func(t *testing.T, dir string, r *Record) { write(t, r.Names.Path, `[{"id":"c1","na`) }, false},
		{"a table of another shape", func(t *testing.T, dir string, r *Record) { write(t, r.Names.Path, `{"c1":"web"}`) }, false},
		{"no table", func(t *testing.T, dir string, r *Record) { os.Remove(r.Names.Path) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, r := self(t)
			c.spoil(t, dir, r)
			target, err := r.Open(dir)
			if err == nil {
				target.Close()
			}
			if c.holds != (err == nil) || err != nil && !errors.Is(err, ErrStale) {
				t.Errorf("%v, should hold: %v", err, c.holds)
			}
		})
	}
}

// TestOpenWritesBack: a table that changed without concerning the toolbox is
// read once, not at every entry.
func TestOpenWritesBack(t *testing.T) {
	dir, r := self(t)
	write(t, r.Names.Path, `[{"id":"c1","names":["web"]},{"id":"c2","names":["new"]}]`)
	target, err := r.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	target.Close()
	saved, err := Load(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	if now, err := ReadNames(r.Names.Path); err != nil || saved.Names != now {
		t.Errorf("recorded %+v, is %+v (%v)", saved.Names, now, err)
	}
}

// recorded is a record of this version, of the toolbox name.
func recorded(name string) string {
	data, err := json.Marshal(Record{Version: recordVersion, BoxKnows: boxVersion, Name: name})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
	}{
		{"missing", "", ""},
		{"empty", "web", ""},
		{"torn", "web", `{"Version":1,"Name":"we`},
		{"of another version", "web", `{"Version":99,"Name":"web"}`},
		{"of another toolbox", "web", recorded("build")},
		{"of another shape", "web", `[1]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				write(t, recordPath(dir, c.file), c.text)
			}
			if r, err := Load(dir, "web"); !errors.Is(err, ErrStale) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	dir := t.TempDir() // the same, and right
	write(t, recordPath(dir, "web"), recorded("web"))
	if r, err := Load(dir, "web"); err != nil || r.Name != "web" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Load(t.TempDir(), "../web"); !errors.Is(err, ErrStale) {
		t.Error("a name with a slash was looked for")
	}
}

// FuzzLoad: no content of a record, status or table makes tbx panic or enter.
func FuzzLoad(f *testing.F) {
	good, err := json.Marshal(&Record{Version: recordVersion, Name: "web", PID: 1, State: RuntimeState{Runtime: "crun", Path: "/nonexistent"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte(`{"pid":1,"process-start-time":5}`), []byte(`[{"id":"","names":["web"]}]`))
	f.Add([]byte(`{`), []byte(`{`), []byte(`[`))
	f.Fuzz(func(t *testing.T, record, status, table []byte) {
		dir := t.TempDir()
		write(t, recordPath(dir, "web"), string(record))
		write(t, filepath.Join(dir, "status"), string(status))
		write(t, filepath.Join(dir, "table"), string(table))
		r, err := Load(dir, "web")
		if err != nil {
			return
		}
		r.State.Path, r.Names.Path = filepath.Join(dir, "status"), filepath.Join(dir, "table")
		if target, err := r.Open(dir); err == nil {
			target.Close()
			t.Error("a record that nobody wrote was believed")
		}
	})
}

// A toolbox that another tbx has set up has a tbx-box that may not know what is asked.
func TestRecordOfAnotherBox(t *testing.T) {
	dir := t.TempDir()
	r := &Record{Name: "web", ID: "1"}
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, "web"); err != nil {
		t.Fatal(err)
	}
	path := recordPath(dir, "web")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	older := strings.Replace(string(data), fmt.Sprintf(`"BoxKnows":%d`, boxVersion), `"BoxKnows":0`, 1)
	if err := os.WriteFile(path, []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, "web"); !errors.Is(err, ErrStale) {
		t.Errorf("it is believed: %v", err)
	}
}
