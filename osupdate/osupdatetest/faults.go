package osupdatetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// fault is a way in which a program can be broken: a script of sh, in which real
// is the program's own path. Want nil is any error.
type fault struct {
	name, script string
	want         error
}

// broken returns f's configuration with program, called with arguments of the
// pattern, broken.
func broken(t *testing.T, f *Fixture, program, pattern string, by fault) osupdate.Config {
	t.Helper()
	real, err := f.Config.Tools.Path(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nreal=%s\ncase \"$*\" in\n%s) %s ;;\nesac\nexec \"$real\" \"$@\"\n", quote(real), pattern, by.script)
	if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg, tools := f.Config, *f.Config.Tools
	tools.Dirs = append([]string{dir}, tools.Dirs...)
	if by.want == osupdate.ErrTimeout {
		tools.Idle = 400 * time.Millisecond
	}
	cfg.Tools = &tools
	return cfg
}

func failed(t *testing.T, by fault, what string, err error) {
	t.Helper()
	var te *osupdate.ToolError
	switch {
	case err == nil || by.want != nil && !errors.Is(err, by.want):
		t.Errorf("%s, %s: %v", by.name, what, err)
	case len(fail.Hints(err)) == 0:
		t.Errorf("%s, %s: %v has no next step", by.name, what, err)
	case !errors.As(err, &te):
		t.Errorf("%s, %s: what the program said is lost: %v", by.name, what, err)
	}
}

// brokenReader: a program whose answer is no answer is an error of its kind,
// with the next step and the raw text, and nothing is changed on its word.
func brokenReader(t *testing.T, f *Fixture, _ *osupdate.Host) {
	faults := []fault{
		{"garbage", `printf '\377{{{ not an answer\n'; exit 0`, osupdate.ErrBadOutput},
		{"nothing", `exit 0`, nil},
		{"truncated", `out=$("$real" "$@") || exit $?; printf %s "$out" | head -c $((${#out} / 2)); exit 0`, osupdate.ErrBadOutput},
		{"an error that ends with 0", `echo 'error: the cat sat on it' >&2; exit 0`, nil},
		{"fails in silence", `exit 1`, osupdate.ErrBackend},
		{"killed", `kill -9 $$`, osupdate.ErrBackend},
		{"hangs", `exec sleep 600`, osupdate.ErrTimeout},
		{"never ends", `exec cat /dev/zero`, osupdate.ErrBadOutput},
	}
	for _, by := range faults {
		if by.name == "truncated" && f.Prose {
			continue
		}
		h, err := osupdate.Open(broken(t, f, f.Reader, "*", by))
		if err != nil {
			t.Fatal(err)
		}
		before := f.Snapshot()
		_, err = h.Status(t.Context())
		failed(t, by, "status", err)
		_, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
		failed(t, by, "upgrade", err)
		if f.Snapshot() != before {
			t.Errorf("%s: the host was changed", by.name)
		}
	}
}

// brokenMutator: a failed upgrade is an error of its kind and in the history,
// the host is as it was, and the next one arrives.
func brokenMutator(t *testing.T, f *Fixture, h *osupdate.Host) {
	first := status(t, h)
	for _, by := range []fault{
		{"fails in silence", `exit 1`, osupdate.ErrBackend},
		{"killed", `kill -9 $$`, osupdate.ErrBackend},
		{"hangs", `exec sleep 600`, osupdate.ErrTimeout},
		{"root is full", `echo 'error: Writing object: No space left on device' >&2; exit 1`, osupdate.ErrSpace},
		{"/boot is full", `echo 'error: Installing kernel: bootfs requires additional space' >&2; exit 1`, osupdate.ErrSpace},
		{"no network", `echo 'error: While fetching https://example.org/x: Could not resolve hostname' >&2; exit 1`, osupdate.ErrNetwork},
		{"no signature", `echo 'error: A signature was required, but no signature exists' >&2; exit 1`, osupdate.ErrSignature},
		{"not root", `echo 'error: This command must be executed as the root user' >&2; exit 1`, osupdate.ErrPermission},
	} {
		broke, err := osupdate.Open(broken(t, f, f.Mutator, f.Upgrades, by))
		if err != nil {
			t.Fatal(err)
		}
		before := f.Snapshot()
		_, err = broke.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
		failed(t, by, "upgrade", err)
		if f.Snapshot() != before {
			t.Errorf("%s: the host was changed", by.name)
		}
		entries, err := h.History()
		if err != nil || len(entries) == 0 || entries[len(entries)-1].Outcome != "failed" {
			t.Errorf("%s: history %+v, %v", by.name, entries, err)
		}
	}
	lies, err := osupdate.Open(broken(t, f, f.Mutator, f.Upgrades, fault{"", `echo 'error: the cat sat on it' >&2; exit 0`, nil}))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := lies.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); err == nil && res.Unchanged == "" {
		t.Errorf("an error that ended with 0 was taken for an upgrade to %s", res.After.Name())
	}
	if res := do(t, h, osupdate.Request{Verb: osupdate.Upgrade}); res.Unchanged != "" || res.After.Same(first.Next()) {
		t.Errorf("after all that the upgrade does not arrive: %+v", res)
	}
}

// together: several tbx at once. One upgrades; each of the others waits and finds
// nothing to do, or says that the host is busy.
func together(t *testing.T, f *Fixture, h *osupdate.Host) {
	first := status(t, h)
	var all sync.WaitGroup
	var mu sync.Mutex
	upgraded := 0
	for i := range 4 {
		cfg := f.Config
		cfg.LockWait = time.Duration(i%2) * time.Minute
		all.Go(func() {
			h, err := osupdate.Open(cfg)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && res.Unchanged == "":
				upgraded++
			case err != nil && !errors.Is(err, osupdate.ErrBusy):
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if upgraded != 1 {
		t.Errorf("%d of them upgraded the host", upgraded)
	}
	s := status(t, h)
	checkState(t, s)
	if s.Next().Same(first.Next()) {
		t.Error("the upgrade did not arrive")
	}
}
