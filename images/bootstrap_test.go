package images_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

func bootstrap(t *testing.T, ctx context.Context, script string, opts images.BootstrapOptions, progress images.Progress) (*memory, error) {
	t.Helper()
	ch, err := catalogue(t, fakeTool(t, script)).Resolve(images.Request{}, debian12)
	if err != nil {
		t.Fatal(err)
	}
	store := &memory{names: map[string]string{}}
	_, err = images.Bootstrap(ctx, store, ch, opts, progress)
	return store, err
}

func TestBootstrapRecordsWhatItDid(t *testing.T) {
	opts := images.BootstrapOptions{StateDir: t.TempDir(), TempDir: t.TempDir(), Include: []string{"vim"}}
	args := filepath.Join(t.TempDir(), "args")
	var texts []string
	store, err := bootstrap(t, context.Background(), `printf '%s\n' "$@" >`+args+`
echo "I: automatically chosen mode: unshare" >&2
echo "P: sudo 1.9" >&2
echo "I: done" >&2
test -d "$TMPDIR" && printf tar`, opts, func(e images.Event) { texts = append(texts, e.Text) })
	if err != nil || store.names[debianLocal] != hex64 {
		t.Fatalf("%v, store %v", err, store.names)
	}
	rec, ok, err := images.ProvenancesIn(opts.StateDir).Load(hex64)
	if err != nil || !ok || rec.Reference != debianLocal || rec.Origin != images.OriginBootstrap || rec.Date.IsZero() {
		t.Fatalf("record %+v, %v", rec, err)
	}
	if r := rec.Bootstrap; r.Suite != "bookworm" || r.Mode != "unshare" || r.Packages["sudo"] != "1.9" ||
		!strings.Contains(r.Sources[0], "signed-by="+r.Keyring+"] http") {
		t.Errorf("record %+v", r)
	}
	said, err := os.ReadFile(args)
	if err != nil || !strings.Contains(string(said), ",vim\n") || !strings.Contains(string(said), "\nbookworm\n-\ndeb [signed-by=") {
		t.Errorf("arguments %s, %v", said, err)
	}
	if !strings.Contains(strings.Join(texts, "\n"), "done") {
		t.Errorf("progress %q", texts)
	}
	if left, _ := filepath.Glob(opts.TempDir + "/*"); left != nil {
		t.Errorf("left %s", left)
	}
}

// Another state directory's bootstrap in the same place leaves alone what lives and
// removes what is dead.
func TestBootstrapsShareAPlace(t *testing.T) {
	tmp, fifo := t.TempDir(), filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(tmp, "tbx-bootstrap-"+strconv.Itoa(os.Getuid())+"-dead")
	store, err := bootstrap(t, context.Background(), `touch "$TMPDIR/mine"; echo "I: here" >&2; read go <`+fifo+`; test -e "$TMPDIR/mine" && printf tar`,
		images.BootstrapOptions{StateDir: t.TempDir(), TempDir: tmp}, func(e images.Event) {
			if e.Text != "here" {
				return
			}
			if err := os.Mkdir(dead, 0o711); err != nil {
				t.Error(err)
			}
			if _, err := bootstrap(t, context.Background(), "printf tar", images.BootstrapOptions{StateDir: t.TempDir(), TempDir: tmp}, nil); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the dead one: %v", err)
			}
			write(t, fifo, "go\n", 0)
		})
	if err != nil || store.names[debianLocal] != hex64 {
		t.Errorf("%v, store %v", err, store.names)
	}
	if left, _ := filepath.Glob(tmp + "/*"); left != nil {
		t.Errorf("left %s", left)
	}
}

// A tool that fails after it wrote its tar must leave no image.
func TestBootstrapFailsWholly(t *testing.T) {
	store, err := bootstrap(t, context.Background(), `printf half; echo 'E: mirror is gone' >&2; exit 25`,
		images.BootstrapOptions{StateDir: t.TempDir(), TempDir: t.TempDir()}, nil)
	if err == nil || !strings.Contains(err.Error(), "mmdebstrap says E: mirror is gone: exit status 25") {
		t.Errorf("error %v", err)
	}
	if len(store.names) > 0 {
		t.Errorf("store %v", store.names)
	}
	if hints := strings.Join(fail.Hints(err), ""); !strings.Contains(hints, "http://deb.debian.org/debian bookworm main") {
		t.Errorf("hints %q", hints)
	}
}

func TestBootstrapEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := bootstrap(t, ctx, `trap 'touch `+dir+`/undone; exit 1' TERM; echo "I: slow" >&2; while :; do sleep 0.1; done`,
		images.BootstrapOptions{StateDir: t.TempDir(), TempDir: t.TempDir()}, func(e images.Event) {
			if e.Text == "slow" {
				cancel()
			}
		})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "undone")); err != nil {
		t.Errorf("the tool was not asked to undo its work: %v", err)
	}
}

func TestBootstrapRemovesWhatAKilledOneLeft(t *testing.T) {
	opts := images.BootstrapOptions{StateDir: t.TempDir(), TempDir: t.TempDir()}
	ours := filepath.Join(opts.TempDir, "tbx-bootstrap-"+strconv.Itoa(os.Getuid())+"-1")
	other := filepath.Join(opts.TempDir, "tbx-bootstrap-x")
	for _, dir := range []string{ours, other} {
		if err := os.MkdirAll(filepath.Join(dir, "mmdebstrap.abc/usr"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bootstrap(t, context.Background(), `printf tar`, opts, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ours); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", ours, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("%s is not ours: %v", other, err)
	}
}

func TestBootstrapSaysWhatIsMissing(t *testing.T) {
	cat := catalogue(t, images.Override{Path: "o", Data: []byte("[distro.debian.bootstrap]\nkeyrings = [\"/nowhere/k.gpg\"]\n")})
	ch, err := cat.Resolve(images.Request{}, debian12)
	if err != nil {
		t.Fatal(err)
	}
	fakeTool(t, "exit 0")
	_, err = images.Bootstrap(context.Background(), &memory{}, ch, images.BootstrapOptions{}, nil)
	if !errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), "the keyring /nowhere/k.gpg") || !strings.Contains(strings.Join(fail.Hints(err), ""), "debian-archive-keyring") {
		t.Errorf("%v %q", err, fail.Hints(err))
	}
	ch.Bootstrap = nil
	if _, err = images.Bootstrap(context.Background(), &memory{}, ch, images.BootstrapOptions{}, nil); !errors.Is(err, fail.Unable) {
		t.Errorf("%v", err)
	}
}
