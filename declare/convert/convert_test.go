package convert_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/declare"
	"github.com/tbx-project/tbx/declare/convert"
)

// read has the converted text read as a declaration.
func read(t *testing.T, r *convert.Result) *declare.File {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"motd", "sub/tool", "odd's \"name\""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := declare.Parse(filepath.Join(dir, "tbx.toml"), []byte(r.Text), declare.Caller{Home: "/home/me", User: "me"})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Text)
	}
	return f
}

func TestDistrobox(t *testing.T) {
	r, err := convert.Distrobox("distrobox.ini", `# mine
[base]
image=registry.example.org/debian:12 # stable
additional_packages="git vim"
pull=true

[dev]
include=base
additional_packages="make"
additional_packages=gcc
home=$HOME/boxes/dev
volume="/srv/a:/a:ro $HOME/x:/x"
init_hooks="echo \"hello\" # no comment"
additional_flags="--env A=1 -e B=${USER} --device /dev/kvm"
nvidia=false
init=true
exported_apps="gimp"
start_now=true
`)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, r)
	b := f.Boxes[1]
	if b.Name != "dev" || b.Source.Image != "registry.example.org/debian:12" || !slices.Equal(b.Packages, []string{"git", "vim", "make", "gcc"}) {
		t.Errorf("%+v", b)
	}
	o := b.Options
	if o.Home != "/home/me/boxes/dev" || !slices.Equal(o.Volumes, []string{"/srv/a:/a:ro", "/home/me/x:/x"}) || !slices.Equal(o.Env, []string{"A=1", "B=me"}) {
		t.Errorf("%+v", o)
	}
	if len(b.Setup) != 1 || !strings.Contains(b.Setup[0].Text, "# no comment") {
		t.Errorf("%+v", b.Setup)
	}
	left := strings.Join(r.Left, "\n")
	for _, want := range []string{"--device", "init:", "exported_apps"} {
		if !strings.Contains(left, want) || !strings.Contains(r.Text, "# Not taken over, ") {
			t.Errorf("%q is not said in %q", want, left)
		}
	}
	if strings.Contains(left, "nvidia") {
		t.Errorf("said of what is off: %q", left)
	}
}

func TestContainerfile(t *testing.T) {
	r, err := convert.Containerfile("Containerfile", `# syntax
FROM docker.io/library/debian:12
ARG VERSION=3
ENV EDITOR=vi GREETING="hello you"
ENV OLD style value
RUN apt-get update && \
    # a comment between
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
RUN curl -O https://example.org/x && sh x
WORKDIR /opt/x
RUN ["make", "it's"]
RUN <<EOF
one
two
EOF
COPY --chmod=0755 sub/tool /usr/local/bin/
COPY motd /etc/motd
COPY . /src
ADD https://example.org/a /a
USER worker
RUN npm ci
EXPOSE 80
CMD ["x"]
`, "proj")
	if err != nil {
		t.Fatal(err)
	}
	b := read(t, r).Boxes[0]
	if b.Name != "proj" || b.Source.Image != "docker.io/library/debian:12" || !slices.Equal(b.Packages, []string{"git", "make"}) {
		t.Errorf("%+v", b)
	}
	if !slices.Equal(b.Options.Env, []string{"EDITOR=vi", "GREETING=hello you", "OLD=style value"}) {
		t.Errorf("%q", b.Options.Env)
	}
	var commands []string
	for _, c := range b.Setup {
		commands = append(commands, c.Text)
	}
	in := "mkdir -p '/opt/x' && cd '/opt/x'\nVERSION=3\n"
	want := []string{"VERSION=3\ncurl -O https://example.org/x && sh x", in + `'make' 'it'\''s'`, in + "one\ntwo", in + "npm ci"}
	if !reflect.DeepEqual(commands, want) || !b.Setup[3].AsUser || b.Setup[2].AsUser {
		t.Errorf("%q", commands)
	}
	if len(b.Files) != 2 || b.Files[0].Path != "/etc/motd" || b.Files[1].Path != "/usr/local/bin/tool" || b.Files[1].Mode != 0o755 {
		t.Errorf("%+v", b.Files)
	}
	left := strings.Join(r.Left, "\n")
	for _, want := range []string{"COPY . /src", "ADD https", "USER worker", "EXPOSE", "CMD"} {
		if !strings.Contains(left, want) {
			t.Errorf("%q is not said in %q", want, left)
		}
	}
}

func TestContainerfileOfStagesIsBuilt(t *testing.T) {
	for _, text := range []string{"FROM a AS b\nFROM c\n", "ARG V=1\nFROM a:${V}\n"} {
		r, err := convert.Containerfile("Containerfile", text, "p")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Text, `containerfile = "./Containerfile"`) {
			t.Error(r.Text)
		}
	}
}

// E94: what is wrong is told with its line; what is hostile comes out as text.
func TestE94_BadOriginals(t *testing.T) {
	for text, want := range map[string]string{
		"image=x\n": ":1: there is no [name]", "[a]\nimag=x\n": ":2: distrobox has no key", "[a\n": ":1: a section", "[a]\nx\n": ":2: neither",
		"[a]\nimage=\"x\n": ":2: the quote", "": "no [section]",
	} {
		if _, err := convert.Distrobox("m.ini", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{"RUN x\n": "there is no FROM", "FROM a\nRUN <<E\nx\n": ":2: the text up to E"} {
		if _, err := convert.Containerfile("c", text, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	r, err := convert.Distrobox("m.ini\n[toolbox.evil]", "[a]\nimage=x\nadditional_flags=\"--label=a\x0b[toolbox.evil]\"\ninit_hooks=\"a\x1b'''\\\"b\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if f := read(t, r); len(f.Boxes) != 1 || !strings.Contains(f.Boxes[0].Setup[0].Text, "\x1b'''") {
		t.Errorf("%+v\n%s", f.Boxes, r.Text)
	}
	r, err = convert.Distrobox("m.ini", "[a\".b]\nimage=x\n")
	if err != nil || !strings.Contains(r.Text, `[toolbox.'a".b']`) {
		t.Errorf("%v %v", r, err)
	}
}
