package face

import (
	"slices"
	"strings"
	"testing"
)

// Calls that programs make, as they were recorded or read in them: Konsole, Kontainer,
// TRAMP, BoxBuddy, DistroShelf, VSCodium, Ptyxis, and scripts.
func TestOf(t *testing.T) {
	for _, c := range []struct{ call, want string }{
		{"tbx list", "tbx list"},
		{"toolbox list -c", "toolbox list --columns toolbx -c"},
		{"toolbox list --containers", "toolbox list --columns toolbx --containers"},
		{"toolbox --log-level debug list", "toolbox --log-level debug list --columns toolbx"},
		{"toolbox run -c dev list", "toolbox run -c dev list"},
		{"toolbox rm dev --force", "toolbox rm --yes dev --force"},
		{"toolbox create -c dev -i img -y", "toolbox create -c dev -i img -y"},
		{"toolbox -v enter dev", "toolbox -v enter dev"},
		{"distrobox ls --no-color", "distrobox list --columns distrobox"},
		{"distrobox-list", "distrobox-list list --columns distrobox"},
		{"distrobox enter dev", "distrobox enter --toolbox dev"},
		{"distrobox enter -n dev -- /bin/sh -i", "distrobox run --toolbox dev -- /bin/sh -i"},
		{"distrobox-enter --name=dev -T -- cat -", "distrobox-enter run --toolbox dev --no-tty -- cat -"},
		{"distrobox enter dev -e ls -n", "distrobox run --toolbox dev -- ls -n"},
		{"distrobox enter --no-tty --no-workdir dev -- bash -c x", "distrobox run --toolbox dev --no-tty --workdir /home/me -- bash -c x"},
		{"distrobox create -n dev -i img -Y --no-entry --volume /a:/a --volume /b:/b", "distrobox create --image img --volume /a:/a --volume /b:/b --yes dev"},
		{"distrobox create", "distrobox create my-distrobox"},
		{"distrobox create --image img --pull --nvidia", "distrobox create --image img --pull always"},
		{"distrobox create --clone a --name b", "distrobox clone a b"},
		{"distrobox create -C", "distrobox image list --names"},
		{"distrobox rm dev --force", "distrobox rm --yes --force dev"},
		{"distrobox rm dev other", "distrobox rm dev other"},
		{"distrobox stop --all --yes", "distrobox stop --all"},
		{"distrobox-upgrade --all", "distrobox-upgrade upgrade --all"},
		{"distrobox ephemeral -i img -- make", "distrobox run --ephemeral --image img -- make"},
		{"distrobox-host-exec ls -l", "distrobox-host-exec host-exec ls -l"},
		{"distrobox -v enter --help", "distrobox enter --help"},
	} {
		got, err := Of(strings.Fields(c.call), "/home/me")
		if err != nil || strings.Join(got.Args, " ") != c.want {
			t.Errorf("%s: %q, %v, want %q", c.call, got.Args, err, c.want)
		}
	}
}

// Ptyxis asks for a terminal in one word, beside --no-tty.
func TestTerminalInOneWord(t *testing.T) {
	got, err := Of([]string{"distrobox", "enter", "--no-tty", "dev", "--additional-flags", "--tty --preserve-fds=1 --env A=b", "--", "env", "X=y z", "sh"}, "/")
	want := []string{"distrobox", "run", "--toolbox", "dev", "--preserve-fds", "1", "--env", "A=b", "--", "env", "X=y z", "sh"}
	if err != nil || !slices.Equal(got.Args, want) {
		t.Errorf("%q, %v", got.Args, err)
	}
}

// What tbx has not is refused in words, with the exit code of the other program.
func TestRefused(t *testing.T) {
	for call, want := range map[string]string{
		"distrobox create --init -n x":                     "distrobox create --init: tbx does not have that",
		"distrobox enter --from-the-future x":              "tbx does not know the flag --from-the-future",
		"distrobox create -n":                              "-n wants a value",
		"distrobox rm --yes=1 x":                           "--yes=1 takes no value",
		"distrobox rm":                                     "wants the name of a toolbox, or --all",
		"distrobox enter":                                  "wants the name of a toolbox",
		"distrobox enter x --root":                         "distrobox enter --root: tbx does not have that",
		"distrobox frob":                                   `distrobox has no command "frob"`,
		"distrobox assemble create":                        "distrobox assemble: tbx does not have that",
		"distrobox enter x -a --privileged":                "--additional-flags --privileged: tbx does not have that",
		"distrobox create --clone a":                       "the new toolbox wants a name",
		"distrobox create -n x --additional-packages htop": "--additional-packages: tbx does not have that",
	} {
		got, err := Of(strings.Fields(call), "/home/me")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", call, err)
		}
		if code := got.Code(2, false); code != 1 {
			t.Errorf("%s: exit code %d", call, code)
		}
	}
	for code, want := range map[int]int{0: 0, 2: 1, 3: 1, 130: 130} {
		if got := (Call{face: true}).Code(code, false); got != want {
			t.Errorf("%d: %d", code, got)
		}
	}
	if (Call{face: true}).Code(127, true) != 127 || (Call{}).Code(3, false) != 3 {
		t.Error("a session's code, or tbx's own, was changed")
	}
}

func TestVersion(t *testing.T) {
	for _, call := range []string{"distrobox version", "distrobox --version", "distrobox-version"} {
		if got, err := Of(strings.Fields(call), "/"); err != nil || got.Print != "distrobox: 1.8" {
			t.Errorf("%s: %+v %v", call, got, err)
		}
	}
}
