package host

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/osupdate"
)

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		p    osupdate.Progress
		want string
	}{
		{osupdate.Progress{Task: "pulling"}, "pulling"},
		{osupdate.Progress{Task: "pulling", Done: 34e6, Bytes: true}, "pulling: 34.0 MB"},
		{osupdate.Progress{Task: "pulling", Done: 34e6, Total: 340e6, Bytes: true}, "pulling: ##..................  34.0 MB of 340.0 MB"},
		{osupdate.Progress{Task: "import", Done: 3, Total: 4}, "import: ###############.....  3 of 4"},
		{osupdate.Progress{Task: "upgrade", Done: 40, Total: 100}, "upgrade: ########............  40 %"},
		{osupdate.Progress{Task: "x", Done: 9, Total: 3}, "x: ####################  9 of 3"},
		{osupdate.Progress{Task: "x", Done: -1, Total: 3}, "x: ....................  -1 of 3"},
	} {
		if got := progressText(c.p); got != c.want {
			t.Errorf("%+v: %q, want %q", c.p, got, c.want)
		}
	}
}

// Without HOME, as in a unit of systemd, nothing is kept below wherever tbx stands.
func TestI9_NoHome(t *testing.T) {
	env := cli.NewEnv(nil, nil, nil, nil)
	var cfg osupdate.Config
	cfg.Tools = &osupdate.Tools{}
	if err := asUser(env, &hostOptions{elevate: "none"}, &cfg); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(cfg.StateDir) || !filepath.IsAbs(cfg.LockPath) {
		t.Errorf("%q, %q", cfg.StateDir, cfg.LockPath)
	}
}

func TestPrintHistory(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	line := func(op, phase string, r osupdate.Request, outcome, message string) osupdate.Entry {
		return osupdate.Entry{Op: op, Phase: phase, Time: at, User: 0, Request: r, Outcome: outcome, Message: message, Intended: "42.2"}
	}
	kargs := osupdate.Request{Verb: osupdate.Kargs, Append: []string{"quiet"}, Delete: []string{"rhgb"}}
	build := osupdate.Request{Verb: osupdate.BuildVerb, Target: "tbx/local"}
	install := osupdate.Request{Verb: osupdate.Install, Packages: []string{"vim", "zsh"}}
	var b bytes.Buffer
	if err := printHistory(&b, []osupdate.Entry{
		line("1", "begin", kargs, "", ""), line("1", "end", kargs, "done", ""),
		line("2", "begin", build, "", ""), line("2", "end", build, "failed", "no \x1b[2J"),
		line("3", "begin", install, "", ""),
	}); err != nil {
		t.Fatal(err)
	}
	want := `2026-01-02 03:04:05  root  kargs --append=quiet --delete=rhgb  done          42.2
2026-01-02 03:04:05  root  build tbx/local                     failed        no \x1b[2J
2026-01-02 03:04:05  root  install vim zsh                     not finished  42.2
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestOneStageATask: each line of an updater would else begin a stage anew, and
// none would last long enough to be shown.
func TestOneStageATask(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	env := cli.NewEnv(nil, nil, w, nil)
	show := hostProgress(env)
	done := make(chan string)
	go func() { // until the stage is shown, however busy the machine is
		var all strings.Builder
		buf := make([]byte, 1000)
		for !strings.Contains(all.String(), "\n") {
			n, err := r.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				break
			}
		}
		done <- all.String()
	}()
	for i := int64(0); ; i++ {
		show(osupdate.Progress{Task: "pulling", Done: i % 100, Total: 100})
		select {
		case text := <-done:
			if !strings.HasPrefix(text, "tbx: pulling: ") {
				t.Errorf("%q", text)
			}
			return
		default:
		}
	}
}

// TestH25_DateAndSource: status shows when the image of each system was made, and what
// each follows where they follow different things.
func TestH25_DateAndSource(t *testing.T) {
	at := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	s := (&osupdate.State{Deployments: []osupdate.Deployment{
		{ID: "a", Version: "2", Checksum: "aaa", Booted: true, Tracks: "q.io/x:1", Time: &at, Changes: &osupdate.Changes{Live: true}}, {ID: "b", Version: "1", Checksum: "bbb", Tracks: "q.io/y:1"},
	}}).Arrange()
	var b bytes.Buffer
	if err := printSystems(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DATE", "2026-11-30", "FOLLOWS", "q.io/x:1", "q.io/y:1", "running, boots next, changed live"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
