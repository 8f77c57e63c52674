package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// TestD92_PlacesOfVolumes: a volume that no runtime could mount, or nobody could see, is
// refused when it is asked for.
func TestD92_PlacesOfVolumes(t *testing.T) {
	for target, ok := range map[string]bool{
		"/proc/tbx-none": false, "/sys/tbx-none": false, "/sys/kernel/tbx/none": false, "/run/host/srv": false, "/run/host": false,
		"/proc/version": true, "/dev/null": true, "/dev/shm": true, "/run/hosted": true, "/development": true, "/mnt/x": true,
	} {
		if err := checkTarget(&Spec{}, Mount{Target: target}); (err == nil) != ok || err != nil && !errors.Is(err, fail.Usage) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := checkTarget(&Spec{Without: []string{integration.HostView, integration.Devices}}, Mount{Target: "/run/host/srv"}); err != nil {
		t.Errorf("without the host view: %v", err)
	}
	if err := checkTarget(&Spec{Isolated: true}, Mount{Target: "/dev/tbx-none"}); err != nil {
		t.Errorf("with devices of its own: %v", err)
	}
}

// TestD92_MountPoints: what a volume is mounted on in a directory that is shared is of
// the host, and nothing else is.
func TestD92_MountPoints(t *testing.T) {
	b := &Box{Container: Container{Mounts: []Mapping{
		{Source: "/", Target: "/run/host"}, {Source: "/var/home/jane", Target: "/home/jane"}, {Source: "/tmp", Target: "/tmp"}, {Source: "/dev", Target: "/dev"},
		{Source: "/srv/ro", Target: "/ro", Options: []string{"ro"}}, {Source: "/srv/x", Target: "/home/jane/x"}, {Source: "name", Target: "/named"},
	}}}
	for target, want := range map[string]string{
		"/home/jane/a": "/var/home/jane/a", "/home/jane/x": "/var/home/jane/x", "/home/jane/x/deep": "/srv/x/deep", "/tmp/y": "/tmp/y",
		"/dev/z": "", "/ro/z": "", "/named/z": "", "/opt/z": "", "/home/janet": "", "/run/host/z": "",
	} {
		if got, ok := b.hostPath(target); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t, want %q", target, got, ok, want)
		}
	}
}

// TestD91_TakenPlaces: a volume of the owner's comes before the toolbox's own place for
// containers, but not the host's store at its own path.
func TestD91_TakenPlaces(t *testing.T) {
	s := &Spec{Volumes: []string{"/srv/store:/home/jane/.local/share/containers", "data:/var/lib/docker", "/home/jane/.config:/home/jane/.config", "bad"}}
	for path, want := range map[string]bool{
		"/home/jane/.local/share/containers": true, "/home/jane/.local/share/containers/storage": true, "/home/jane/.local/share/docker": false,
		"/var/lib/docker": true, "/var/lib/dockers": false, "/home/jane/.config/containers": false,
	} {
		if got := s.takenBy(path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}

// TestD92_Contradictions: what podman would refuse with a sentence of its own, or what a
// hint would not mend.
func TestD92_Contradictions(t *testing.T) {
	for volume, ok := range map[string]bool{
		"/srv:/x:rw,ro": false, "/srv:/x:exec,noexec": false, "/srv:/x:ro,nodev,nosuid": true, "/srv:/x:ro,ro": true,
	} {
		if _, err := ParseVolume(volume); (err == nil) != ok {
			t.Errorf("%s: %v", volume, err)
		}
	}
	for _, second := range []string{"/opt:/x", "/opt:/x/../x/:ro", "name:/x"} {
		err := new(Plan).addVolumes(&Spec{Volumes: []string{"/srv:/x", second}})
		if !errors.Is(err, fail.Usage) || len(fail.Hints(err)) == 0 {
			t.Errorf("%s: %v", second, err)
		}
	}
	if err := new(Plan).addVolumes(&Spec{Volumes: []string{"/srv:/x", "/srv:/y", "/opt:/x/y"}}); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"./a:/x": here + "/a:/x", "a/b/:/x:ro": here + "/a/b:/x:ro", "../a:/x": filepath.Dir(here) + "/a:/x", "~/a:/x": "/home/jane/a:/x",
		"name:/x": "name:/x", "/srv:/x": "/srv:/x", "a/b": "a/b", "": "",
	} {
		if got := wholeSource(&Host{Home: "/home/jane"}, asked); got != want {
			t.Errorf("%s: %s, want %s", asked, got, want)
		}
	}
	if err := os.Symlink("nowhere", "link"); err != nil {
		t.Fatal(err)
	}
	err = checkSources(&Plan{Mounts: []Mount{{Type: "bind", Source: here + "/link"}}})
	if hints := fail.Hints(err); len(hints) != 1 || !strings.Contains(hints[0], "it is a link to nowhere") {
		t.Errorf("%v: %q", err, hints)
	}
}
