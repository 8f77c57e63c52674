//go:build updater

package sysupdate_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/sysupdate"
)

const program = "/usr/lib/systemd/systemd-sysupdate"

// source is a server of versions, and a host that has version 49 of them.
type source struct {
	files  string // what is served
	images string // what is installed
	tools  string // the real program, told where its transfer files are
}

// realSource needs systemd-sysupdate, of the root that tests/lab/updater makes.
func realSource(t *testing.T, verify bool) *source {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Fatal("systemd-sysupdate is not installed: start this test by tests/lab/updater")
	}
	s := &source{files: t.TempDir(), images: t.TempDir(), tools: t.TempDir()}
	server := httptest.NewServer(http.FileServer(http.Dir(s.files)))
	t.Cleanup(server.Close)
	definitions := t.TempDir()
	write(t, filepath.Join(definitions, "50-os.transfer"), fmt.Sprintf(`[Transfer]
ProtectVersion=49
Verify=%t

[Source]
Type=url-file
Path=%s
MatchPattern=os_@v.raw

[Target]
Type=regular-file
Path=%s
MatchPattern=os_@v.raw
CurrentSymlink=current.raw
InstancesMax=2
`, verify, server.URL, s.images))
	write(t, filepath.Join(s.tools, "systemd-sysupdate"), "#!/bin/sh\nexec "+program+" --definitions="+definitions+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(s.tools, "systemd-sysupdate"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.images, "os_49.raw"), "version 49")
	s.publish(t, "49", "50")
	return s
}

// publish has the server offer these versions.
func (s *source) publish(t *testing.T, versions ...string) {
	t.Helper()
	sums := ""
	for _, v := range versions {
		text := "version " + v
		write(t, filepath.Join(s.files, "os_"+v+".raw"), text)
		sums += fmt.Sprintf("%x  os_%s.raw\n", sha256.Sum256([]byte(text)), v)
	}
	write(t, filepath.Join(s.files, "SHA256SUMS"), sums)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *source) config(t *testing.T) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir(), s.tools)
	cfg.Sysroot = "real"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return sysupdate.New(c.Tools, "49")
	}
	return cfg
}

// snapshot is what is installed.
func (s *source) snapshot(t *testing.T) string {
	files, err := filepath.Glob(filepath.Join(s.images, "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return strings.Join(files, "\n")
}

// TestRealSuite is the shared suite with the real program and a real server.
func TestRealSuite(t *testing.T) {
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		s := realSource(t, false)
		return &osupdatetest.Fixture{
			Config: s.config(t), Snapshot: func() string { return s.snapshot(t) }, NoBack: true, Reader: "systemd-sysupdate", Mutator: "systemd-sysupdate", Upgrades: "update",
		}
	})
}

// TestRealFailures: what the real program says of a source that cannot be believed or
// reached has its kind; never "there is no update".
func TestRealFailures(t *testing.T) {
	for name, c := range map[string]struct {
		verify bool
		spoil  func(s *source)
		want   error
	}{
		"no signature":  {true, func(*source) {}, osupdate.ErrSignature},
		"bad signature": {true, func(s *source) { write(t, filepath.Join(s.files, "SHA256SUMS.gpg"), "no signature") }, osupdate.ErrSignature},
		"no list":       {false, func(s *source) { os.Remove(filepath.Join(s.files, "SHA256SUMS")) }, osupdate.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := realSource(t, c.verify)
			c.spoil(s)
			h, err := osupdate.Open(s.config(t))
			if err != nil {
				t.Fatal(err)
			}
			before := s.snapshot(t)
			if u, err := h.Check(t.Context()); !errors.Is(err, c.want) || len(fail.Hints(err)) == 0 {
				t.Errorf("check: %+v, %v", u, err)
			}
			if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); !errors.Is(err, c.want) {
				t.Errorf("upgrade: %v", err)
			}
			if s.snapshot(t) != before {
				t.Error("something was installed")
			}
		})
	}
	t.Run("wrong checksum", func(t *testing.T) {
		s := realSource(t, false)
		write(t, filepath.Join(s.files, "os_50.raw"), "another content")
		h, err := osupdate.Open(s.config(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Upgrade}, false); !errors.Is(err, osupdate.ErrCorrupt) {
			t.Errorf("%v", err)
		}
	})
}
