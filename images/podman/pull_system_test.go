//go:build system

package podman_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

// pushDebian puts a real Debian into the registry, and empties the store.
func pushDebian(m *machine, r *registry) (ref string) {
	m.t.Helper()
	return push(m, r, debianTar(), "debian:12", "--change", `CMD ["/bin/bash"]`)
}

// pushSmall does so with an image of one file.
func pushSmall(m *machine, r *registry) (ref string) {
	m.t.Helper()
	m.write("hello", "hello\n")
	m.run("tar", "-C", m.dir, "-cf", m.path("small.tar"), "hello")
	return push(m, r, m.path("small.tar"), "small:1")
}

func push(m *machine, r *registry, tar, name string, flags ...string) (ref string) {
	m.t.Helper()
	ref = r.host + "/team/" + name
	m.run("podman", append(append([]string{"import", "--quiet"}, flags...), tar, ref)...)
	m.run("podman", "push", "--quiet", "--creds", user+":"+password, ref)
	m.run("podman", "rmi", "--force", ref)
	r.took()
	return ref
}

func TestPullThroughTLSAndLogin(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, true)
	debian, small := pushDebian(m, r), pushSmall(m, r)
	ctx := context.Background()

	if _, err := m.store.Pull(ctx, small, images.PullOptions{}, nil); !errors.Is(err, images.ErrDenied) ||
		!strings.Contains(strings.Join(fail.Hints(err), ""), "podman login "+r.host) {
		t.Errorf("without a login: %v, hints %q", err, fail.Hints(err))
	}
	auth := func(name, pw string) string {
		m.write(name, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, r.host, base64.StdEncoding.EncodeToString([]byte(user+":"+pw))))
		return m.path(name)
	}
	if _, err := m.store.Pull(ctx, small, images.PullOptions{AuthFile: auth("bad.json", "wrong")}, nil); !errors.Is(err, images.ErrDenied) {
		t.Errorf("with a wrong password: %v", err)
	}
	good := images.PullOptions{AuthFile: auth("good.json", password)}
	if _, err := m.store.Pull(ctx, small, good, nil); err != nil {
		t.Errorf("with an authfile: %v", err)
	}
	if _, err := m.store.Pull(ctx, r.host+"/team/debian:99", good, nil); !errors.Is(err, images.ErrNoManifest) || !errors.Is(err, fail.NotFound) {
		t.Errorf("a tag that is not there: %v", err)
	}
	if _, err := m.store.Pull(ctx, r.host+"/team/debian@sha256:"+strings.Repeat("0", 64), good, nil); !errors.Is(err, images.ErrNoManifest) {
		t.Errorf("a digest that is not there: %v", err)
	}

	// podman login serves as well, and bytes are counted.
	m.run("podman", "login", "--authfile", m.path("home/.config/containers/auth.json"), "--username", user, "--password", password, r.host)
	r.mu.Lock()
	r.throttle = func() { time.Sleep(time.Millisecond) } // so that a second passes
	r.mu.Unlock()
	var seen events
	img, err := images.Fetcher{Store: m.store, StateDir: t.TempDir(), Progress: seen.add}.Pull(ctx, debian, images.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(img.Names, debian) || img.Digest() == "" || img.Size < 100<<20 {
		t.Errorf("%+v", img)
	}
	if !seen.has(func(e images.Event) bool { return e.Stage == images.StageDownload && e.Done > 0 && e.Total > 50<<20 }) {
		t.Errorf("no bytes in %+v", seen)
	}
	if last := seen[len(seen)-1]; last.Stage != images.StagePrepare || last.Done != last.Total {
		t.Errorf("the last event is %+v", last)
	}
	// What is there needs no registry.
	r.took()
	ch := images.Choice{Reference: debian}
	if again, err := images.Ensure(ctx, m.store, ch, images.EnsureOptions{}); err != nil || again.ID != img.ID {
		t.Errorf("again: %v", err)
	}
	if took := r.took(); len(took) > 0 {
		t.Errorf("a present image asked the registry: %s", took)
	}
	// By its digest it is the same image.
	byDigest := r.host + "/team/debian@" + img.Digest()
	if again, err := m.store.Pull(ctx, byDigest, images.PullOptions{}, nil); err != nil || again.ID != img.ID {
		t.Errorf("by digest: %v", err)
	}
	if _, err := m.store.Pull(ctx, debian, images.PullOptions{Platform: "linux"}, nil); !errors.Is(err, fail.Usage) {
		t.Errorf("half a platform: %v", err)
	}
}

// A short name is podman's to complete, and a mirror podman's to choose.
func TestPullByAliasAndMirror(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, false)
	small := pushSmall(m, r)
	m.write("registries.conf", "[[registry]]\nprefix = \"example.org/team\"\nlocation = \"127.0.0.1:9/team\"\n[[registry.mirror]]\nlocation = \""+
		r.host+"/team\"\n[aliases]\n\"tiny\" = \""+r.host+"/team/small\"\n")
	m.restart()
	for ref, name := range map[string]string{"tiny:1": small, "example.org/team/small:1": "example.org/team/small:1"} {
		var seen events
		img, err := m.store.Pull(context.Background(), ref, images.PullOptions{}, seen.add)
		if err != nil || !slices.Contains(img.Names, name) {
			t.Errorf("%s: %q, %v", ref, img.Names, err)
		}
		// For short names podman 4.3 has no more than lines.
		if layers := seen.has(func(e images.Event) bool { return e.Layer != "" }); !layers && (ref != "tiny:1" || !m.old()) {
			t.Errorf("%s: no layers in %+v", ref, seen)
		}
	}
}

func TestPullFromAnUntrustedRegistry(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, false)
	small := pushSmall(m, r)
	if err := os.RemoveAll(m.path("home/.config/containers/certs.d")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.store.Pull(context.Background(), small, images.PullOptions{}, nil); !errors.Is(err, images.ErrTLS) {
		t.Errorf("error %v", err)
	}
}

func TestS8_PullFromAFailingRegistry(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, false)
	debian, small := pushDebian(m, r), pushSmall(m, r)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1") // else podman waits a minute between its tries
			http.Error(w, `{"errors":[]}`, code)
		}
	}
	isBlob := func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/blobs/") }
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		want  error
	}{
		"403": {status(403), images.ErrDenied},
		"429": {status(429), images.ErrThrottled},
		"500": {status(500), images.ErrServer},
		"503": {status(503), images.ErrServer},
		"another blob": {func(w http.ResponseWriter, req *http.Request) {
			if isBlob(req) {
				w.Write([]byte("not what you asked for"))
				return
			}
			pass(r, w, req)
		}, images.ErrCorrupt},
		"closed in mid-layer": {func(w http.ResponseWriter, req *http.Request) {
			if isBlob(req) {
				w.Header().Set("Content-Length", "1000000")
				w.Write(make([]byte, 1000))
				panic(http.ErrAbortHandler)
			}
			pass(r, w, req)
		}, images.ErrServer},
		"silence in mid-layer": {func(w http.ResponseWriter, req *http.Request) {
			if isBlob(req) {
				w.Header().Set("Content-Length", "1000000")
				w.Write(make([]byte, 1000))
				w.(http.Flusher).Flush()
				<-req.Context().Done()
				return
			}
			pass(r, w, req)
		}, images.ErrStalled},
		"silence": {func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }, images.ErrStalled},
	} {
		t.Run(name, func(t *testing.T) {
			r.set(c.fault)
			quiet := images.DefaultQuiet
			if c.want == images.ErrStalled {
				quiet = 5 * time.Second
			}
			_, err := m.store.Pull(context.Background(), small, images.PullOptions{Quiet: quiet}, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if len(fail.Hints(err)) == 0 {
				t.Errorf("no hint with %v", err)
			}
			// Nothing is broken: the same pull works once the registry does.
			r.set(nil)
			if _, err := m.store.Pull(context.Background(), small, images.PullOptions{}, nil); err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			m.run("podman", "rmi", small)
		})
	}

	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		r.mu.Lock()
		r.throttle = func() { time.Sleep(2 * time.Millisecond) }
		r.mu.Unlock()
		_, err := m.store.Pull(ctx, debian, images.PullOptions{}, func(e images.Event) {
			if e.Done > 0 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if _, err := m.store.Inspect(context.Background(), debian); !errors.Is(err, fail.NotFound) {
			t.Errorf("half an image: %v", err)
		}
	})

	t.Run("podman killed", func(t *testing.T) {
		r.mu.Lock()
		r.throttle = func() { time.Sleep(2 * time.Millisecond) }
		r.mu.Unlock()
		service := m.service
		_, err := m.store.Pull(context.Background(), debian, images.PullOptions{}, func(e images.Event) {
			if e.Done > 0 {
				service.Process.Kill()
			}
		})
		if err == nil {
			t.Error("no error")
		}
		r.mu.Lock()
		r.throttle = nil
		r.mu.Unlock()
		m.restart()
		if _, err := (images.Fetcher{Store: m.store, StateDir: t.TempDir()}).Pull(context.Background(), debian, images.PullOptions{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// pass gives the request to the real registry.
func pass(r *registry, w http.ResponseWriter, req *http.Request) { r.forward.ServeHTTP(w, req) }

// The disk is full before the image is here: it says so, leaves no image, and
// the same pull works when there is room.
func TestS8_PullOntoAFullDisk(t *testing.T) {
	m := newMachine(t, "")
	r := newRegistry(t, m, false)
	debian := pushDebian(m, r)
	m.service.Process.Kill()
	graph := m.path("graph")
	// Mounted where podman's own processes live, beyond the test's.
	m.run("podman", "unshare", "sh", "-c", "umount -l $0/overlay; mount -t tmpfs -o size=100m,mode=755 tbx-test $0", graph)
	t.Cleanup(func() { exec.Command("podman", "unshare", "umount", "-l", graph).Run() })
	m.serve()
	ctx := context.Background()
	_, err := m.store.Pull(ctx, debian, images.PullOptions{}, nil)
	if !errors.Is(err, images.ErrDiskFull) || !errors.Is(err, fail.Unable) {
		t.Errorf("error %v", err)
	}
	if list, err := m.store.List(ctx); err != nil || len(list) > 0 {
		t.Errorf("store %+v, %v", list, err)
	}
	m.run("podman", "unshare", "mount", "-o", "remount,size=1g", graph)
	if _, err := m.store.Pull(ctx, debian, images.PullOptions{}, nil); err != nil {
		t.Errorf("with room: %v", err)
	}
}
