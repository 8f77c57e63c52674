package bootc_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/bootc"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
)

// built is the state of a host on which another image is staged than in "staged".
func built(t *testing.T) string {
	return strings.Replace(data(t, "staged"), "quay.io/example/desktop:latest", osupdate.LocalImage, 2) // spec, and status.staged
}

func TestBuild(t *testing.T) {
	status := []osupdatetest.Call{
		{In: "clean", Args: statusArgs, Stdout: data(t, "clean")},
		{In: "built", Args: statusArgs, Stdout: built(t), Maybe: true},
	}
	cases := append(osupdatetest.BuildFailures(), osupdatetest.BuildCase{
		Name: "built", Build: osupdatetest.Call{Stdout: "STEP 1/1: FROM quay.io/example/desktop\nCOMMIT " + osupdate.LocalImage + "\n"},
		Updater: []string{"switch --transport containers-storage " + osupdate.LocalImage}, To: "built",
	})
	osupdatetest.RunBuild(t, "bootc", status, cases, func(t *testing.T, tool *osupdatetest.Tool) osupdate.Config {
		return config(t, tool, bootc.Options{Root: true})
	})
}

// TestBuildAgain: bootc refuses to switch to what the host follows already.
func TestBuildAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/Dockerfile", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tool := osupdatetest.NewTool(t, "built", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: built(t)}}, "podman": nil})
	res, err := open(t, config(t, tool, bootc.Options{Root: true})).Build(t.Context(), dir, true)
	if err != nil || !slices.Equal(res.Plan.Steps[len(res.Plan.Steps)-1].Argv[1:], []string{"upgrade"}) {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestBuildIsForRoot: what a Containerfile says is run as root, so that no order
// of an ordinary user comes here.
func TestBuildIsForRoot(t *testing.T) {
	tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"bootc": nil})
	cfg := config(t, tool, bootc.Options{})
	cfg.Superuser = false
	if _, err := open(t, cfg).Build(t.Context(), t.TempDir(), false); !errors.Is(err, osupdate.ErrPermission) {
		t.Error(err)
	}
}

// TestAddToContainerfile: what is layered elsewhere goes into the owner's image.
func TestAddToContainerfile(t *testing.T) {
	tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "clean")}}})
	cfg := config(t, tool, bootc.Options{Root: true})
	cfg.Root = system(t, "ID=fedora\n")
	h, file := open(t, cfg), t.TempDir()+"/host/Containerfile"
	for _, c := range []struct{ ask, added []string }{
		{[]string{"zsh", "vim"}, []string{"vim", "zsh"}}, {[]string{"zsh"}, nil}, {[]string{"htop", "vim"}, []string{"htop"}},
	} {
		added, err := h.AddToContainerfile(t.Context(), file, c.ask)
		if err != nil || !slices.Equal(added, c.added) {
			t.Errorf("%q: added %q, %v", c.ask, added, err)
		}
	}
	const want = "# What the host of this machine is, as an image: tbx host build DIRECTORY\nFROM quay.io/example/desktop:latest\n" +
		"RUN dnf -y install vim zsh && dnf clean all\nRUN dnf -y install htop && dnf clean all\n"
	if got := osupdatetest.Read(t, file); got != want {
		t.Errorf("%s", got)
	}
}

// system is a root directory with that os-release.
func system(t *testing.T, osRelease string) string {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/etc/os-release", []byte(osRelease), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestPackageManagers: the image's own, and none is guessed.
func TestPackageManagers(t *testing.T) {
	for osRelease, want := range map[string]string{
		"ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n":      "RUN dnf -y install zsh && dnf clean all\n",
		"ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n": "RUN zypper --non-interactive install zsh && zypper clean --all\n",
		"ID=opensuse-microos\n":                                   "RUN zypper --non-interactive install zsh && zypper clean --all\n",
		"ID=debian\n":                                             "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y install zsh && rm -rf /var/lib/apt/lists/*\n",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n":               "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -y install zsh && rm -rf /var/lib/apt/lists/*\n",
		"ID=arch\n": "RUN pacman -Syu --noconfirm --needed zsh && rm -rf /var/cache/pacman/pkg/*\n",
		"ID=void\n": "",
		"":          "",
	} {
		tool := osupdatetest.NewTool(t, "clean", map[string][]osupdatetest.Call{"bootc": {{Args: statusArgs, Stdout: data(t, "clean")}}})
		cfg := config(t, tool, bootc.Options{Root: true})
		cfg.Root = system(t, osRelease)
		h, file := open(t, cfg), t.TempDir()+"/Containerfile"
		for range 2 { // the second time it is there
			_, err := h.AddToContainerfile(t.Context(), file, []string{"zsh"})
			if want == "" {
				if !errors.Is(err, osupdate.ErrUnsupported) || len(fail.Hints(err)) == 0 {
					t.Errorf("%q: %v", osRelease, err)
				}
			} else if err != nil {
				t.Errorf("%q: %v", osRelease, err)
			} else if got := osupdatetest.Read(t, file); !strings.HasSuffix(got, "latest\n"+want) {
				t.Errorf("%q: %s", osRelease, got)
			}
		}
		if _, err := h.Containerfile(t.Context()); err != nil { // without packages none is needed
			t.Errorf("%q: %v", osRelease, err)
		}
	}
}
