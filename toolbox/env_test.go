package toolbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

func testRecord() *join.Record {
	return &join.Record{
		Name: "web", Home: "/home/jane", Shell: "/bin/bash", HostFiles: true,
		Env:    []string{"PATH=/usr/bin:/bin", "HOME=/home/jane", "FROM=image", "TERM=dumb"},
		Mounts: []join.Mapping{{Host: "/home/jane", Box: "/home/jane"}, {Host: "/run/user/1000", Box: "/run/user/1000"}, {Host: "/srv/data", Box: "/data"}},
	}
}

func TestSessionEnv(t *testing.T) {
	for _, c := range []struct {
		name    string
		without []string
		caller  []string
		opts    EnvOptions
		want    []string // NAME=VALUE that must be there
		none    []string // names that must not
	}{
		{
			name: "values reach it byte by byte", caller: []string{"A= 'x' \"y\" $HOME `id` \\ \n\tz=1 ", "EMPTY=", "UTF=ä\xff"},
			want: []string{"A= 'x' \"y\" $HOME `id` \\ \n\tz=1 ", "EMPTY=", "UTF=ä\xff", "FROM=image"},
		},
		{
			name:   "exact names, no prefixes",
			caller: []string{"HOSTFOO=1", "HOMEBREW_PREFIX=2", "PATHEXTRA=3", "USERX=4", "SHELLCHECK_OPTS=5", "LD_LIBRARY_PATH_X=6", "PWDX=7", "UIDX=8", "HOST=9", "PWD=/x", "UID=1000", "LD_PRELOAD=/x.so", "_=/usr/bin/env", "NOTIFY_SOCKET=/run/x"},
			want:   []string{"HOSTFOO=1", "HOMEBREW_PREFIX=2", "PATHEXTRA=3", "USERX=4", "SHELLCHECK_OPTS=5", "LD_LIBRARY_PATH_X=6", "PWDX=7", "UIDX=8"},
			none:   []string{"HOST", "UID", "LD_PRELOAD", "_", "NOTIFY_SOCKET"},
		},
		{
			name: "the last of two", caller: []string{"A=1", "A=2"}, want: []string{"A=2"},
		},
		{
			name: "entries that are none", caller: []string{"NOVALUE", "=x", ""}, none: []string{"NOVALUE", ""},
		},
		{
			name: "--env wins, and may name the caller's", caller: []string{"A=1", "LD_PRELOAD=/c.so"},
			opts: EnvOptions{Set: []string{"A=2", "PATH=/only", "HOME=/x", "LD_PRELOAD", "UNSET", "B=c=d"}},
			want: []string{"A=2", "PATH=/only", "HOME=/x", "LD_PRELOAD=/c.so", "B=c=d"}, none: []string{"UNSET"},
		},
		{
			name: "held back by the configuration", caller: []string{"SECRET=1", "SECRETS=2"}, opts: EnvOptions{Block: []string{"SECRET"}},
			want: []string{"SECRETS=2"}, none: []string{"SECRET"},
		},
		{
			name: "without integrations", without: []string{integration.X11, integration.Locale, integration.SSHAgent, integration.Timezone},
			caller: []string{"DISPLAY=:0", "XAUTHORITY=/home/jane/.x", "LANG=de_DE.UTF-8", "LC_TIME=C", "SSH_AUTH_SOCK=/run/user/1000/s", "TZ=UTC", "WAYLAND_DISPLAY=wayland-0", "A=1"},
			want:   []string{"WAYLAND_DISPLAY=wayland-0", "A=1"}, none: []string{"DISPLAY", "XAUTHORITY", "LANG", "LC_TIME", "SSH_AUTH_SOCK", "TZ"},
		},
		{
			name: "without the environment a terminal is still one", without: []string{integration.Environment},
			caller: []string{"A=1", "TERM=xterm", "COLORTERM=truecolor", "DISPLAY=:0"},
			want:   []string{"TERM=xterm", "COLORTERM=truecolor", "DISPLAY=:0"}, none: []string{"A"},
		},
		{
			name: "paths as they are inside",
			caller: []string{
				"XAUTHORITY=/home/jane/.Xauthority", "SSH_AUTH_SOCK=/srv/data/agent", "PULSE_SERVER=unix:/var/run/pulse,x", "WAYLAND_DISPLAY=wayland-1",
				"DBUS_SESSION_BUS_ADDRESS=unix:path=/tmp/bus,guid=1;unix:path=/x", "KRB5CCNAME=FILE:/srv/data/cc", "PULSE_COOKIE=relative",
			},
			want: []string{
				"XAUTHORITY=/home/jane/.Xauthority", "SSH_AUTH_SOCK=/data/agent", "PULSE_SERVER=unix:/run/host/var/run/pulse,x", "WAYLAND_DISPLAY=wayland-1",
				"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/host/tmp/bus,guid=1;unix:path=/x", "KRB5CCNAME=FILE:/data/cc", "PULSE_COOKIE=relative",
			},
		},
		{
			name: "who and where", opts: EnvOptions{Dir: "/data", Shell: "/bin/bash", Prompt: "⬢ %s "}, caller: []string{"USER=mallory", "SHELL=/bin/zsh"},
			want: []string{"HOME=/home/jane", "SHELL=/bin/bash", "PWD=/data", "TBX_TOOLBOX=web", "TBX_PROMPT=⬢ web "}, none: []string{"USER"},
		},
		{
			name: "root", opts: EnvOptions{Root: true}, want: []string{"HOME=/root", "USER=root", "LOGNAME=root"}, none: []string{"TBX_PROMPT"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testRecord()
			r.Without = c.without
			got := SessionEnv(r, c.caller, c.opts)
			for _, kv := range c.want {
				if !slices.Contains(got, kv) {
					t.Errorf("%q is missing in %q", kv, got)
				}
			}
			names := map[string]int{}
			for _, kv := range got {
				name, _, _ := strings.Cut(kv, "=")
				if names[name]++; names[name] > 1 {
					t.Errorf("%s is there twice", name)
				}
			}
			for _, n := range c.none {
				if names[n] > 0 {
					t.Errorf("%s is there: %q", n, got)
				}
			}
		})
	}
}

// I13: what the caller's environment says of the host, or of another session.
func TestI13_Caller(t *testing.T) {
	caller := []string{
		"LD_PRELOAD=/x.so", "TBX_TOOLBOX=other", "TBX_BRIDGE=/evil", "TBX_SESSION=evil", "TBX_PROMPT=x", "TBX_TITLE=1", "BASH_ENV=/x", "PATH=/evil:.:/usr/bin",
		"http_proxy=http://p", "DOCKER_HOST=unix:///run/x.sock", "TBX_FOO=mine",
	}
	env := SessionEnv(testRecord(), caller, EnvOptions{Dir: "/", Shell: "/bin/bash"})
	for _, want := range []string{"TBX_TOOLBOX=web", "http_proxy=http://p", "DOCKER_HOST=unix:///run/x.sock", "TBX_FOO=mine", "PATH=/usr/bin:/bin"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
	for _, name := range []string{"LD_PRELOAD", "TBX_BRIDGE", "TBX_SESSION", "TBX_PROMPT", "TBX_TITLE", "BASH_ENV"} {
		if slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") }) {
			t.Errorf("%s is in %q", name, env)
		}
	}
}

func TestMergePath(t *testing.T) {
	for _, c := range []struct{ box, host, want string }{
		{"/usr/bin:/bin", "", "/usr/bin:/bin"},
		{"/usr/bin", "/home/jane/bin:/usr/bin:/opt/x:/home/jane/late", "/home/jane/bin:/usr/bin:/home/jane/late"},
		{"/usr/bin", "/bin:/home/jane/bin", "/usr/bin:/home/jane/bin"},
		{"/usr/bin", "/home/janet/bin:/home/jane", "/usr/bin"},
		{"/usr/bin::/home/jane/bin", "/home/jane/bin:/home/jane/bin", "/home/jane/bin:/usr/bin"},
		{"", "/home/jane/bin", "/home/jane/bin"},
	} {
		if got := (&judge{record: testRecord()}).mergePath(c.box, c.host); got != c.want {
			t.Errorf("mergePath(%q, %q) = %q, want %q", c.box, c.host, got, c.want)
		}
	}
}
