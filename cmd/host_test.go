//go:build !front

package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	env := newEnv(nil, nil, nil, nil)
	var cfg osupdate.Config
	cfg.Tools = &osupdate.Tools{}
	if err := asUser(env, &hostOptions{elevate: "none"}, &cfg); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(cfg.StateDir) || !filepath.IsAbs(cfg.LockPath) {
		t.Errorf("%q, %q", cfg.StateDir, cfg.LockPath)
	}
}

// TestOneStageATask: each line of an updater would else begin a stage anew, and
// none would last long enough to be shown.
func TestOneStageATask(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	env := newEnv(nil, nil, w, nil)
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
