//go:build remote

package podman

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
)

// TestAnswers: a service that accepts and says nothing, says what it should
// not, or is gone.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc // nil: hangs
		want    string           // in the error; empty: none
	}{
		{"good", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Libpod-API-Version", "4.3.1") }, ""},
		{"new", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Libpod-API-Version", "5.4.2") }, ""},
		{"old", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Libpod-API-Version", "3.4.4") }, `too old: it has version "3.4.4"`},
		{"not podman", func(http.ResponseWriter, *http.Request) {}, `version ""`},
		{"hangs", nil, "has not answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "p.sock")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ctx := context.Background()
			if c.handler != nil {
				go http.Serve(l, c.handler)
			} else {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond) // in place of answerTimeout
				defer cancel()
			}
			err = answers(ctx, "/usr/bin/podman", socket)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), c.want) || len(fail.Hints(err)) == 0 {
				t.Errorf("%v (hints %q), want %q", err, fail.Hints(err), c.want)
			}
		})
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		version string
		want    bool
	}{{"4.0.0", false}, {"4.3.1", false}, {"10.0", false}, {"5.4.2-rc1", false}, {"3.99", true}, {"", true}, {"four", true}} {
		if got := older(c.version, minAPI); got != c.want {
			t.Errorf("%s: %v", c.version, got)
		}
	}
}
