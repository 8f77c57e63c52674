package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// TestD31_ZoneName: the zone's name is read off the link that decides it.
func TestD31_ZoneName(t *testing.T) {
	for _, c := range []struct {
		link, file string // "-" is none
		want       string
		inFile     bool
	}{
		{"/usr/share/zoneinfo/Europe/Berlin", "-", "Europe/Berlin", false},
		{"../usr/share/zoneinfo/America/Port-au-Prince", "Etc/UTC\n", "America/Port-au-Prince", true},
		{"/etc/zoneinfo/posix/Etc/GMT+5", "-", "Etc/GMT+5", false},
		{"/somewhere/else", "Europe/Rome\n", "", true},
		{"/usr/share/zoneinfo/$(id)", "-", "", false},
		{"/usr/share/zoneinfo/../../etc/passwd", "-", "", false},
		{"-", "Europe/Rome\n", "Etc/UTC", true},
		{"file", "Europe/Rome\n", "Europe/Rome", true},
		{"file", "-", "", false},
	} {
		root := t.TempDir()
		os.Mkdir(root+"/etc", 0o755)
		switch c.link {
		case "-":
		case "file":
			os.WriteFile(root+"/etc/localtime", []byte("TZif2"), 0o644)
		default:
			os.Symlink(c.link, root+"/etc/localtime")
		}
		if c.file != "-" {
			os.WriteFile(root+"/etc/timezone", []byte(c.file), 0o644)
		}
		if name, inFile := zoneName(root); name != c.want || inFile != c.inFile {
			t.Errorf("%+v: %q, %t", c, name, inFile)
		}
	}
}

// TestD36_Locales: every variable that names a locale counts, and the host's own files.
func TestD36_Locales(t *testing.T) {
	got := localesOf([]string{"LANG=de_DE.UTF-8", "LC_NAME=fr_FR.UTF-8", "LC_TIME=de_DE.UTF-8", "LC_IDENTIFICATION=it_IT.UTF-8", "LANGUAGE=es", "LC_PAPER="})
	slices.Sort(got)
	if want := []string{"de_DE.UTF-8", "fr_FR.UTF-8", "it_IT.UTF-8"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := len(integration.LocaleVariables()); n != 14 { // locale(7): LANG, LC_ALL and twelve categories
		t.Errorf("%d variables: %q", n, integration.LocaleVariables())
	}
	root := t.TempDir()
	os.MkdirAll(root+"/etc/default", 0o755)
	os.WriteFile(root+"/etc/locale.conf", []byte("# of the host\nLANG=\"pl_PL.UTF-8\"\nLC_MESSAGES=C\n"), 0o644)
	os.WriteFile(root+"/etc/default/locale", []byte("LANG=cs_CZ.UTF-8\n"), 0o644)
	got = hostLocales(root)
	slices.Sort(got)
	if want := []string{"C", "cs_CZ.UTF-8"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestD41_LedToTbx: a session leads bash and zsh to tbx's files, where there are some.
func TestD41_LedToTbx(t *testing.T) {
	r := &join.Record{Name: "web", Home: "/home/jane", Start: "/home/jane/.local/share/tbx/box/shell", Env: []string{"PATH=/usr/bin:/bin"}}
	env := SessionEnv(r, []string{"PATH=/home/jane/bin:/usr/bin"}, EnvOptions{Dir: "/"})
	if got := lookup(env, "PROMPT_COMMAND"); got != promptCommand {
		t.Errorf("PROMPT_COMMAND %q", got)
	}
	if got := lookup(env, "ZDOTDIR"); got != r.Start+"/zsh" {
		t.Errorf("ZDOTDIR %q", got)
	}
	if got := lookup(SessionEnv(r, nil, EnvOptions{Dir: "/", Set: []string{"ZDOTDIR=/x"}}), "ZDOTDIR"); got != "/x" {
		t.Errorf("what the user sets: %q", got)
	}
	r.Start = "" // set up by an earlier tbx
	if env := SessionEnv(r, nil, EnvOptions{Dir: "/"}); lookup(env, "PROMPT_COMMAND")+lookup(env, "ZDOTDIR") != "" {
		t.Errorf("%q", env)
	}
}

// The start of a process is known to within a few ticks.
func TestStarted(t *testing.T) {
	ticks, err := join.StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x")
	os.WriteFile(file, nil, 0o644)
	fi, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, started(ticks))
	if at.After(fi.ModTime()) || fi.ModTime().Sub(at) > time.Hour {
		t.Errorf("this process is said to have started %v, and made a file %v", at, fi.ModTime())
	}
	if started(0) != 0 {
		t.Error("an unknown start has a time")
	}
}

// TestD97_EmptyLog: nobody is sent to a log in which there is nothing.
func TestD97_EmptyLog(t *testing.T) {
	for _, c := range []struct {
		said, stderr string
		logs         bool
	}{
		{"", "", false},
		{"", "nsenter: no such thing", true},
		{`{"step":"user"}` + "\n", "", true},
	} {
		var log strings.Builder
		init := initRun{name: "web", log: &log}
		_, err := init.judge(strings.NewReader(c.said), c.stderr, errors.New("signal: killed"))
		if got := slices.Contains(fail.Hints(err), "see its steps with: tbx logs web"); got != c.logs || len(fail.Hints(err)) != 1 {
			t.Errorf("%+v: %v, %q", c, err, fail.Hints(err))
		}
		if strings.TrimSpace(log.String()) == "" == c.logs {
			t.Errorf("%+v: the log has %q", c, log.String())
		}
	}
}
