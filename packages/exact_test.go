package packages

import (
	"reflect"
	"strings"
	"testing"
)

// What a toolbox has beside its image is installed in its versions, and marked as it was.
func TestWant(t *testing.T) {
	image := &Inventory{Installed: map[string]string{"a": "1", "b": "1", "gone": "1", "was": "1"}, Asked: []string{"a", "was"}}
	is := &Inventory{
		Installed: map[string]string{
			"a": "1", "b": "2", "was": "1", "new": "3", "dep": "4", "libc6:amd64": "5", "libc6": "5", "libc6:i386": "5",
			"only:i386": "6", "only": "6", "gpg-pubkey": "x-y",
		},
		Asked: []string{"a", "b", "new"}, Held: []string{"b"}, Architectures: []string{"i386"},
		Alternatives: [][2]string{{"editor", "/bin/ed"}},
	}
	w := Want(is, image)
	want := &Wanted{
		Architectures: []string{"i386"}, Held: []string{"b"}, Alternatives: [][2]string{{"editor", "/bin/ed"}},
		Install: map[string]string{"b": "2", "new": "3", "dep": "4", "libc6": "5", "libc6:i386": "5", "only:i386": "6"},
		Remove:  []string{"gone"}, Asked: []string{"b"}, Depends: []string{"dep", "libc6", "libc6:i386", "only:i386", "was"},
	}
	if !reflect.DeepEqual(w, want) {
		t.Errorf("got  %+v\nwant %+v", w, want)
	}
}

// Each package manager is given exact versions, in its own words.
func TestCommands(t *testing.T) {
	w := &Wanted{
		Install: map[string]string{"a": "1", "b": "2"}, Remove: []string{"c"}, Depends: []string{"b"}, World: []string{"a", "d"},
	}
	for name, want := range map[string][]string{
		"apt":    {"a=1", "b=2", "apt-get remove", "apt-mark auto -- \\\n        b", "apt-get update"},
		"apk":    {"apk --no-progress add --no-cache \\\n        a=1 \\\n        b=2", "apk --no-progress del", `printf '%s\n' a d >/etc/apk/world`},
		"dnf":    {"a-1", "b-2", "dnf -y mark remove \\\n        b"},
		"dnf5":   {"a-1", "b-2", "dnf5 -y mark dependency \\\n        b"},
		"zypper": {"a=1", "b=2", `printf '%s\n' b >>/var/lib/zypp/AutoInstalled`},
		"pacman": {"a=1", "b=2", "pacman -D --asdeps -- \\\n        b"},
		"xbps":   {"a-1", "b-2", "xbps-pkgdb -m auto \\\n        b"},
	} {
		for _, m := range Managers() {
			if m.Name != name {
				continue
			}
			all := strings.Join(m.Commands(w), "\n")
			for _, part := range append(want, "        c") {
				if !strings.Contains(all, part) {
					t.Errorf("%s: no %q in\n%s", name, part, all)
				}
			}
			if left := m.Commands(&Wanted{World: []string{"a"}}); len(left) != 0 {
				t.Errorf("%s: of nothing: %q", name, left)
			}
		}
	}
}

// E117: a word of a shell's stays one word.
func TestE117_Quote(t *testing.T) {
	for word, want := range map[string]string{
		"a+b-1:2~3": "a+b-1:2~3", "": "''", "a b": "'a b'", "$(id)": "'$(id)'", "it's": `'it'\''s'`, "a;b": "'a;b'", "*": "'*'",
	} {
		if got := Quote(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

// World keeps the versions and tags that a user gave, and no file that is gone.
func TestApkWorld(t *testing.T) {
	i := (&System{Manager: apk()}).readInventory("@@world\na b=1-r0 c@edge d><Q1abc= .virtual !e\n@@db\nP:a\nV:1-r0\n")
	if got := strings.Join(i.World, " "); got != "a b=1-r0 c@edge !e" {
		t.Error(got)
	}
}
