package toolbox

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// box is an Inside that is written down: paths, and for a link where it leads.
type fakeInside map[string]string

func (f fakeInside) Exists(path string) bool {
	_, ok := f[path]
	return ok || slices.ContainsFunc(slices.Collect(maps.Keys(f)), func(p string) bool { return join.Below(p, path) })
}

func (f fakeInside) LookPath(command string, env []string, _ string) error {
	if filepath.IsAbs(command) {
		if _, ok := f[command]; ok {
			return nil
		}
		return fs.ErrNotExist
	}
	for dir := range strings.SplitSeq(join.Getenv(env, "PATH"), ":") {
		if _, ok := f[filepath.Join(dir, command)]; ok {
			return nil
		}
	}
	return fs.ErrNotExist
}

func (f fakeInside) Runs(path string) (string, bool) {
	real, ok := f[path]
	if !ok || real == "" {
		return path, ok
	}
	_, ok = f[real]
	return real, ok
}

// fake makes an inside with these paths and links ("from -> to").
func fake(entries ...string) fakeInside {
	f := fakeInside{}
	for _, e := range entries {
		from, to, _ := strings.Cut(e, " -> ")
		f[from] = to
	}
	return f
}

// judged is what becomes of the variables of one caller.
func judged(t *testing.T, in Inside, r *join.Record, caller ...string) func(name string) string {
	t.Helper()
	env := SessionEnv(r, caller, EnvOptions{Dir: "/", Shell: "/bin/sh", Inside: in})
	return func(name string) string {
		for _, kv := range env {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return value
			}
		}
		return "(none)"
	}
}

func check(t *testing.T, got func(string) string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got(name) != value {
			t.Errorf("%s=%s, want %s", name, got(name), value)
		}
	}
}

// hostDir makes a directory of the host that tests' toolboxes do not share.
func hostDir(t *testing.T, files ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// D65: paths, each for itself: shared, in the host view, or not there.
func TestD65_Paths(t *testing.T) {
	host := hostDir(t, "certs/ca.pem", "lib/x")
	if err := os.Symlink(filepath.Join(host, "certs"), filepath.Join(host, "link")); err != nil {
		t.Fatal(err)
	}
	view := "/run/host" + host
	in := fake(view+"/certs/ca.pem", view+"/lib/x", "/opt/own/java")
	got := judged(t, in, testRecord(),
		"SSL_CERT_FILE="+host+"/certs/ca.pem", "CURL_CA_BUNDLE="+host+"/link/ca.pem", "REQUESTS_CA_BUNDLE=/nowhere/at/all.pem", "GIT_DIR=.git", "GIT_INDEX_FILE=/home/jane/x/.git/index",
		"PYTHONPATH=/home/jane/lib:"+host+"/lib:/nowhere/at/all:/srv/data/y", "CLASSPATH=.:"+host+"/lib/*", "GEM_PATH=/nowhere/at/all", "CDPATH=.:/home/jane",
		"KRB5CCNAME=FILE:/srv/data/cc", "GIT_CONFIG_GLOBAL=/dev/null", "HISTFILE="+host+"/lib/new", "GIT_TRACE=1", "XDG_CACHE_HOME="+host+"/lib",
		"TMUX=/nowhere/at/all/default,1,0", "MY_OWN=/nowhere/at/all",
	)
	check(t, got, map[string]string{
		"SSL_CERT_FILE": view + "/certs/ca.pem", "CURL_CA_BUNDLE": view + "/certs/ca.pem", "REQUESTS_CA_BUNDLE": "(none)", "GIT_DIR": ".git", "GIT_INDEX_FILE": "/home/jane/x/.git/index",
		"PYTHONPATH": "/home/jane/lib:" + view + "/lib:/data/y", "CLASSPATH": ".:" + view + "/lib/*", "GEM_PATH": "(none)", "CDPATH": ".:/home/jane",
		"KRB5CCNAME": "FILE:/data/cc", "GIT_CONFIG_GLOBAL": "/dev/null", "HISTFILE": view + "/lib/new", "GIT_TRACE": "1", "XDG_CACHE_HOME": view + "/lib",
		"TMUX": "(none)", "MY_OWN": "/nowhere/at/all",
	})
	blind := testRecord() // without the host view there is nothing else to see
	blind.HostFiles = false
	check(t, judged(t, in, blind, "SSL_CERT_FILE="+host+"/certs/ca.pem", "PYTHONPATH=/home/jane/lib:"+host+"/lib"), map[string]string{"SSL_CERT_FILE": "(none)", "PYTHONPATH": "/home/jane/lib"})
}

// D65: what is installed somewhere is the toolbox's or nothing; where a place to write
// to is meant, the host's is as good.
func TestD65_TreesAndPlaces(t *testing.T) {
	host := hostDir(t, "jdk/bin/java", "scratch/x")
	in := fake("/opt/jdk/bin/java", "/var/tmp/x", "/run/host"+host+"/jdk/bin/java", "/run/host"+host+"/scratch/x", "/usr/lib/gtk/x")
	got := judged(t, in, testRecord(),
		"JAVA_HOME=/opt/jdk", "GOROOT="+host+"/jdk", "GRADLE_HOME=/home/jane/gradle", "TMPDIR="+host+"/scratch", "TMP=/var/tmp", "TEMP=/nowhere/at/all/x",
		"GTK_PATH=/usr/lib/gtk:/home/jane/gtk:"+host+"/jdk", "QT_PLUGIN_PATH="+host+"/jdk", "XDG_DATA_DIRS=/home/jane/.nix-profile/share:/var/lib/flatpak/exports/share:/usr/share",
		"MANPATH=/usr/man:/home/jane/man", "INFOPATH=/usr/info",
	)
	check(t, got, map[string]string{
		"JAVA_HOME": "/opt/jdk", "GOROOT": "(none)", "GRADLE_HOME": "/home/jane/gradle", "TMPDIR": "/run/host" + host + "/scratch", "TMP": "/var/tmp", "TEMP": "(none)",
		"GTK_PATH": "/usr/lib/gtk:/home/jane/gtk", "QT_PLUGIN_PATH": "(none)", "XDG_DATA_DIRS": "/home/jane/.nix-profile/share:/usr/local/share:/usr/share",
		"MANPATH": "/home/jane/man:", "INFOPATH": "(none)",
	})
}

// D66: programs are looked up inside.
func TestD66_Programs(t *testing.T) {
	in := fake("/usr/bin/vim", "/usr/bin/less", "/home/jane/bin/mine", "/usr/bin/lesspipe", "/data/bin/tool", "/usr/bin/gcc", "/usr/bin/env")
	got := judged(t, in, testRecord(),
		"EDITOR=/usr/bin/hosted", "VISUAL=vim -f", "PAGER=less -R", "MANPAGER=sh -c 'col -bx | bat'", "GIT_EDITOR=/opt/bin/vim --nofork", "SUDO_EDITOR=/home/jane/bin/mine -w",
		"KUBE_EDITOR=$MY/editor", "GIT_SEQUENCE_EDITOR=:", "GIT_PAGER=", "SYSTEMD_EDITOR='/opt/my editor' -w", "HGEDITOR=\"/usr/bin/vim\" -x", "SVN_EDITOR=FOO=1 nothing",
		"LESSOPEN=|| /usr/bin/lesspipe %s", "LESSCLOSE=/opt/lesspipe %s %s", "BROWSER=firefox:vim:chromium", "CC=gcc -m32", "CXX=clang++", "GIT_SSH=/srv/data/bin/tool",
	)
	check(t, got, map[string]string{
		"EDITOR": "(none)", "VISUAL": "vim -f", "PAGER": "less -R", "MANPAGER": "(none)", "GIT_EDITOR": "vim --nofork", "SUDO_EDITOR": "/home/jane/bin/mine -w",
		"KUBE_EDITOR": "$MY/editor", "GIT_SEQUENCE_EDITOR": ":", "GIT_PAGER": "", "SYSTEMD_EDITOR": "(none)", "HGEDITOR": "\"/usr/bin/vim\" -x", "SVN_EDITOR": "(none)",
		"LESSOPEN": "|| /usr/bin/lesspipe %s", "LESSCLOSE": "lesspipe %s %s", "BROWSER": "vim", "CC": "gcc -m32", "CXX": "(none)", "GIT_SSH": "/data/bin/tool",
	})
	// The PATH of the session counts.
	got = judged(t, in, testRecord(), "PATH=/home/jane/bin:/usr/bin", "EDITOR=mine")
	check(t, got, map[string]string{"EDITOR": "mine"})
	got = judged(t, nil, testRecord(), "EDITOR=vim", "VISUAL=/usr/bin/vim", "PAGER=/home/jane/bin/p", "LESSOPEN=| /usr/bin/lesspipe %s")
	check(t, got, map[string]string{"EDITOR": "vim", "VISUAL": "(none)", "PAGER": "/home/jane/bin/p", "LESSOPEN": "(none)"})
}

// D67: an activated environment whose interpreter is another inside.
func TestD67_Activated(t *testing.T) {
	venv := []string{"/home/jane/ve/bin/python -> /usr/bin/python3.11", "/usr/bin/python3.11", "/home/jane/ve/lib/python3.11/x"}
	caller := []string{"VIRTUAL_ENV=/home/jane/ve", "VIRTUAL_ENV_PROMPT=(ve) ", "PATH=/home/jane/ve/bin:/home/jane/bin:/usr/bin"}
	check(t, judged(t, fake(venv...), testRecord(), caller...), map[string]string{
		"VIRTUAL_ENV": "/home/jane/ve", "VIRTUAL_ENV_PROMPT": "(ve) ", "PATH": "/home/jane/ve/bin:/home/jane/bin:/usr/bin:/bin",
	})
	for name, in := range map[string]fakeInside{
		"the interpreter is not there": fake("/home/jane/ve/bin/python -> /usr/bin/python3.13", "/home/jane/ve/lib/python3.13/x"),
		"it is another version's":      fake("/home/jane/ve/bin/python -> /usr/bin/python3.11", "/usr/bin/python3.11", "/home/jane/ve/lib/python3.13/x"),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, judged(t, in, testRecord(), caller...), map[string]string{"VIRTUAL_ENV": "(none)", "VIRTUAL_ENV_PROMPT": "(none)", "PATH": "/home/jane/bin:/usr/bin:/bin"})
		})
	}
	got := judged(t, fake("/home/jane/.nvm/v20/bin/other"), testRecord(), "NVM_BIN=/home/jane/.nvm/v20/bin", "NVM_INC=/home/jane/.nvm/v20/include", "NVM_DIR=/home/jane/.nvm",
		"PATH=/home/jane/.nvm/v20/bin:/usr/bin", "CONDA_PREFIX=/opt/conda", "CONDA_SHLVL=1", "CONDA_EXE=/opt/conda/bin/conda")
	check(t, got, map[string]string{"NVM_BIN": "(none)", "NVM_INC": "(none)", "NVM_DIR": "/home/jane/.nvm", "PATH": "/usr/bin:/bin", "CONDA_PREFIX": "(none)", "CONDA_SHLVL": "(none)", "CONDA_EXE": "(none)"})
	got = judged(t, fake("/home/jane/.nvm/v20/bin/node"), testRecord(), "NVM_BIN=/home/jane/.nvm/v20/bin", "PATH=/home/jane/.nvm/v20/bin:/usr/bin")
	check(t, got, map[string]string{"NVM_BIN": "/home/jane/.nvm/v20/bin", "PATH": "/home/jane/.nvm/v20/bin:/usr/bin:/bin"})
}

// D100: options that programs take from a variable, and lines for a shell.
func TestD100_Options(t *testing.T) {
	host := hostDir(t, "x.js", "agent.jar", "lib/setup.rb", "bin/bat")
	for given, want := range map[string]string{
		"NODE_OPTIONS=--max-old-space-size=4096 --require " + host + "/x.js --trace-warnings": "--max-old-space-size=4096 --trace-warnings",
		"NODE_OPTIONS=--require " + host + "/x.js":                                            "(none)",
		"NODE_OPTIONS=--import=file:///x/y.mjs":                                               "--import=file:///x/y.mjs",
		"NODE_OPTIONS=":                                                                       "",
		"NODE_OPTIONS=--require \"" + host + "/x.js\"":                                        "--require \"" + host + "/x.js\"",
		"JAVA_TOOL_OPTIONS=-Xmx1g -javaagent:" + host + "/agent.jar=opt":                      "-Xmx1g",
		"_JAVA_OPTIONS=-Dhttp.proxyHost=http://proxy/x -Da=b":                                 "-Dhttp.proxyHost=http://proxy/x -Da=b",
		"JAVA_OPTS=-Djava.io.tmpdir=/home/jane/tmp -Dx=/srv/data/y":                           "-Djava.io.tmpdir=/home/jane/tmp -Dx=/data/y",
		"RUBYOPT=-W0 -r" + host + "/lib/setup":                                                "-W0",
		"RUBYOPT=-rbundler/setup":                                                             "-rbundler/setup",
		"PERL5OPT=-I/home/jane/perl5":                                                         "-I/home/jane/perl5",
		"RUSTFLAGS=-C linker=" + host + "/bin/bat -C opt-level=3":                             "-C opt-level=3",
		"GOFLAGS=-tags=a/b":                                                                   "-tags=a/b",
		"MANPAGER=sh -c 'col -bx | bat -l man -p'":                                            "(none)",
		"MANPAGER=sh -c 'col -bx | less'":                                                     "sh -c 'col -bx | less'",
	} {
		name, _, _ := strings.Cut(given, "=")
		in := fake("/bin/sh", "/usr/bin/sh", "/usr/bin/col", "/usr/bin/less", "/run/host"+host+"/x.js")
		check(t, judged(t, in, testRecord(), given, "PATH=/usr/bin:"+host+"/bin"), map[string]string{name: want})
	}
	in := fake("/usr/bin/sh", "/usr/bin/col", "/usr/bin/bat", host+"/lib/setup.rb")
	got := judged(t, in, testRecord(), "MANPAGER=sh -c 'col -bx | bat -l man -p'", "PATH=/usr/bin:"+host+"/bin", "RUBYOPT=-r"+host+"/lib/setup")
	check(t, got, map[string]string{"MANPAGER": "sh -c 'col -bx | bat -l man -p'", "RUBYOPT": "-r" + host + "/lib/setup"})
	// Functions of the host's shell for the host's programs.
	check(t, judged(t, in, testRecord(), "BASH_FUNC_which%%=() { /usr/bin/which --tty-only; }", "BASH_FUNC_mine%%=() { :; }"),
		map[string]string{"BASH_FUNC_which%%": "(none)", "BASH_FUNC_mine%%": "() { :; }"})
}

// D69: a zone that the toolbox has no file for.
func TestD69_Zone(t *testing.T) {
	if _, err := os.Stat("/usr/share/zoneinfo/Europe/Berlin"); err != nil {
		t.Skip(err)
	}
	const file = "/usr/share/zoneinfo/Europe/Berlin"
	for _, c := range []struct {
		tz   string
		in   fakeInside
		want string
	}{
		{"Europe/Berlin", fake(file), "Europe/Berlin"},
		{":Europe/Berlin", fake(file), ":Europe/Berlin"},
		{"Europe/Berlin", fake("/run/host" + file), ":/run/host" + file},
		{"Europe/Berlin", fake("/x"), "(none)"},
		{":" + file, fake("/run/host" + file), ":/run/host" + file},
		{file, fake(file), ":" + file},
		{"CET-1CEST,M3.5.0,M10.5.0/3", fake("/x"), "CET-1CEST,M3.5.0,M10.5.0/3"},
		{"UTC", fake("/x"), "UTC"},
		{"", fake("/x"), ""},
	} {
		check(t, judged(t, c.in, testRecord(), "TZ="+c.tz), map[string]string{"TZ": c.want})
	}
	dir := hostDir(t, "Europe/Berlin") // as NixOS has it
	check(t, judged(t, fake("/run/host"+dir+"/Europe/Berlin"), testRecord(), "TZDIR="+dir, "TZ=Europe/Berlin"), map[string]string{
		"TZDIR": "/run/host" + dir, "TZ": ":/run/host" + dir + "/Europe/Berlin",
	})
	check(t, judged(t, fake(file), testRecord(), "TZDIR=/nowhere/at/all", "TZ=Europe/Berlin"), map[string]string{"TZDIR": "(none)", "TZ": "Europe/Berlin"})
}

// D70: directories of terminal descriptions.
func TestD70_TerminfoDirs(t *testing.T) {
	host := hostDir(t, "ti/x")
	r := testRecord()
	r.Env = append(r.Env, "TERMINFO_DIRS="+integration.TerminfoDirs)
	got := judged(t, fake("/run/host"+host+"/ti/x"), r, "TERMINFO_DIRS=/home/jane/.local/share/terminfo:"+host+"/ti::/usr/share/terminfo:/nowhere/at/all")
	check(t, got, map[string]string{"TERMINFO_DIRS": "/home/jane/.local/share/terminfo:/run/host" + host + "/ti" + integration.TerminfoDirs})
	check(t, judged(t, fake(), r, "TERMINFO_DIRS=/usr/share/terminfo"), map[string]string{"TERMINFO_DIRS": integration.TerminfoDirs})
	r.Without = []string{integration.Terminfo}
	r.Env = r.Env[:len(r.Env)-1]
	check(t, judged(t, fake(), r, "TERMINFO_DIRS=/home/jane/ti"), map[string]string{"TERMINFO_DIRS": "(none)"})
}

// D71: PATH, by whatever name the home has.
func TestD71_PathOfALinkedHome(t *testing.T) {
	r := testRecord()
	r.Home = "/lnk"
	r.Mounts = append(r.Mounts, join.Mapping{Host: "/lnk", Box: "/lnk"})
	got := judged(t, nil, r, "PATH=/home/jane/bin:/lnk/late:/usr/bin:/home/jane/.local/bin:/srv/data/bin:/opt/x:/lnk:/home/jane")
	check(t, got, map[string]string{"PATH": "/home/jane/bin:/lnk/late:/usr/bin:/bin:/home/jane/.local/bin:/data/bin"})

	home := hostDir(t, "bin/x")
	other := filepath.Join(hostDir(t), "by-another-name")
	if err := os.Symlink(home, other); err != nil {
		t.Fatal(err)
	}
	r = testRecord()
	r.Home, r.Mounts = home, []join.Mapping{{Host: home, Box: home}}
	check(t, judged(t, fake(), r, "PATH="+other+"/bin:/usr/bin"), map[string]string{"PATH": home + "/bin:/usr/bin:/bin"})
}

// D67: directories of scripts that call an interpreter.
func TestD67_Shims(t *testing.T) {
	home := hostDir(t, ".pyenv/versions/3.13/bin/python", ".pyenv/shims/python", ".rbenv/shims/ruby")
	r := testRecord()
	r.Home, r.Mounts = home, []join.Mapping{{Host: home, Box: home}}
	path := "PATH=" + home + "/.pyenv/shims:" + home + "/.rbenv/shims:/usr/bin"
	check(t, judged(t, fake(home+"/.pyenv/versions/3.13/bin/python"), r, path), map[string]string{"PATH": home + "/.pyenv/shims:" + home + "/.rbenv/shims:/usr/bin:/bin"})
	check(t, judged(t, fake(), r, path), map[string]string{"PATH": home + "/.rbenv/shims:/usr/bin:/bin"})
}
