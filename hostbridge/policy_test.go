package hostbridge

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
)

func builtinPolicy(t *testing.T) *Policy {
	t.Helper()
	p, err := PolicyDirs{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// program is one that was found in /usr/bin and that only root can change.
func program(name string) Program {
	return Program{Asked: name, Found: "/usr/bin/" + name, Real: "/usr/bin/" + name, fixed: true, path: "/usr/bin"}
}

func TestBuiltinPolicy(t *testing.T) {
	p := builtinPolicy(t)
	for _, c := range []struct {
		isolated   bool
		verb, line string
		want       Action
	}{
		{false, "", "ls -l", Allow},
		{false, "", "sudo ls", Deny},
		{false, "", "rpm-ostree upgrade", Deny},
		{false, "", "mkfs.ext4 /dev/sda", Deny},
		{false, "", "systemctl reboot", Deny},
		{false, "open-url", "https://x", Allow},
		{false, "host-upgrade", "", Ask},
		{true, "", "ls", Deny},
		{true, "", "sudo", Deny},
		{true, "open-url", "https://x", Ask},
		{true, "notify", "x", Allow},
		{true, "clipboard", "copy", Ask},
		{true, "clipboard", "paste", Deny},
		{true, "host-upgrade", "", Deny},
		{true, "toolbox-list", "", Deny},
	} {
		words := strings.Fields(c.line)
		q := Query{Box: "web", Isolated: c.isolated, Verb: c.verb, Args: words}
		if c.verb == "" {
			q.Program, q.Args = program(words[0]), words[1:]
		}
		if d := p.Decide(q); d.Action != c.want || d.Rule == nil {
			t.Errorf("isolated %v, %s %q: %s by %s, want %s", c.isolated, c.verb, c.line, d.Action, d.Where(), c.want)
		}
	}
	if d := (&Policy{}).Decide(Query{Verb: "notify"}); d.Action != Deny {
		t.Errorf("without a rule: %s", d.Action)
	}
}

func rules(t *testing.T, text string) []Rule {
	t.Helper()
	r, err := ParsePolicy("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPolicyFirstMatchAndPatterns(t *testing.T) {
	p := &Policy{Rules: rules(t, `
[[rule]]
box = "work-*"
exec = "git"
args = ["status", "*", "**"]
action = "deny"

# a comment
[[rule]] # another
box = "@any"
exec = "*"
action = "allow"
`)}
	for _, c := range []struct {
		box, name, args, where string
	}{
		{"work-1", "git", "status x", "p.toml:2"},
		{"work-1", "git", "status x y z", "p.toml:2"},
		{"work-1", "git", "status", "p.toml:9"},
		{"work-1", "git", "diff", "p.toml:9"},
		{"home", "git", "status x", "p.toml:9"},
		{"home", "sudo", "", "no rule"}, // "*" is not everything
	} {
		d := p.Decide(Query{Box: c.box, Program: program(c.name), Args: strings.Fields(c.args)})
		if d.Where() != c.where {
			t.Errorf("%+v: %s", c, d.Where())
		}
	}
}

// B14: what allows must name the file for certain; what denies need not.
func TestB14_AllowIsStricterThanDeny(t *testing.T) {
	reboot := Program{Asked: "reboot", Found: "/usr/sbin/reboot", Real: "/usr/bin/systemctl", fixed: true}
	if !reboot.privileged() || !reboot.mayBe("systemctl") || !reboot.mayBe("reboot") {
		t.Error("reboot is not known as systemctl")
	}
	if reboot.is("/usr/bin/systemctl") {
		t.Error("a rule that allows systemctl allows reboot")
	}
	loose := program("ls")
	loose.fixed = false
	if loose.is("/usr/bin/ls") {
		t.Error("a file that others can change is allowed by name")
	}
	dir := t.TempDir()
	own := filepath.Join(dir, "tool")
	if err := os.WriteFile(own, []byte("#!/bin/sh\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(own, 0o777)
	if p, err := Resolve(own, SystemPath); err != nil || p.fixed {
		t.Errorf("%+v, %v", p, err)
	}
	for _, name := range []string{"", "-x", "./tool", "a/b", "no-such-thing", dir} {
		if p, err := Resolve(name, SystemPath); err == nil {
			t.Errorf("%q resolved to %+v", name, p)
		}
	}
	// A link is as safe as what it can be made to lead to.
	link := filepath.Join(dir, "id")
	os.Symlink("/usr/bin/env", link)
	os.Chmod(dir, 0o777)
	if p, err := Resolve(link, SystemPath); err != nil || p.Real != "/usr/bin/env" || p.is(link) {
		t.Errorf("a link that others can change is allowed by name: %+v, %v", p, err)
	}
	for path, want := range map[string]bool{"/usr/bin/env": true, "/bin/sh": true, "/usr/../bin/sh": true, "/": true, link: false, dir: false, "/tmp": true, "/no/such": false} {
		if (rootonly.Check(path) == nil) != want {
			t.Errorf("only root can change %s: %v", path, !want)
		}
	}
	loop := filepath.Join(dir, "loop")
	os.Symlink(loop, loop)
	if rootonly.Check(loop) == nil {
		t.Error("a loop of links has an end")
	}
	if p, err := Resolve("sh", "/bin"); err != nil || !p.fixed || !p.is("sh") {
		t.Errorf("%+v, %v", p, err)
	}
}

// I7: whatever is wrong with a file, it is refused with its name and line.
func TestI7_BadPolicyText(t *testing.T) {
	const ok = "[[rule]]\nbox = \"x\"\nexec = \"y\"\naction = \"allow\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":       {ok + "actoin = \"deny\"\n", `policy p.toml:5: there is no key "rule.actoin"`},
		"unknown table":     {ok + "[other]\nx = 1\n", "there is no key"},
		"cut":               {"[[rule]]\nbox = \"x", "p.toml:2:"},
		"wrong type":        {"[[rule]]\nbox = 3\n", "p.toml"},
		"duplicate key":     {"[[rule]]\nbox = \"x\"\nbox = \"y\"\n", "p.toml:3:"},
		"single table":      {"[rule]\nbox = \"x\"\n", "p.toml"},
		"inline rules":      {"rule = [{box=\"x\",exec=\"y\",action=\"allow\"}]\n", "line [[rule]]"},
		"hidden header":     {strings.Replace(ok, "[[rule]]", `[["rule"]]`, 1), "line [[rule]]"},
		"false header":      {"[[rule]]\nbox = \"x\"\nexec = '''\n[[rule]]\n'''\naction = \"allow\"\n", "p.toml:3: write strings on one line"},
		"no box":            {"[[rule]]\nexec = \"y\"\naction = \"allow\"\n", "p.toml:1"},
		"bad pattern":       {strings.Replace(ok, `"x"`, `"["`, 1), "box must be"},
		"group":             {strings.Replace(ok, `"x"`, `"@all"`, 1), "no such group"},
		"verb and exec":     {ok + "verb = \"notify\"\n", "either verb or exec"},
		"unknown verb":      {"[[rule]]\nbox = \"x\"\nverb = \"fly\"\naction = \"allow\"\n", "no such verb"},
		"relative path":     {strings.Replace(ok, `"y"`, `"bin/y"`, 1), "exec must be"},
		"unclean path":      {strings.Replace(ok, `"y"`, `"/usr/../y"`, 1), "exec must be"},
		"action":            {strings.Replace(ok, "allow", "maybe", 1), "action must be"},
		"no action":         {"[[rule]]\nbox = \"x\"\nexec = \"y\"\n", "action must be"},
		"stars":             {ok + "args = [\"**\", \"x\"]\n", "last of args"},
		"remember":          {ok + "remember = \"always\"\n", "goes with"},
		"env":               {ok + "env = [\"LD_PRELOAD\"]\n", "may not come"},
		"cwd":               {ok + "cwd = \"/\"\n", "cwd must be"},
		"not UTF-8":         {ok + "args = [\"\xff\"]\n", "p.toml"},
		"deeply nested":     {"x = " + strings.Repeat("[", 100_000), "p.toml"},
		"nested tables":     {strings.Repeat("[[rule.a]]\n", 10_000), "p.toml"},
		"binary":            {"\x00\x01\x02", "p.toml"},
		"second rule wrong": {ok + "[[rule]]\nbox=\"x\"\n", "p.toml:5"},
	} {
		_, err := ParsePolicy("p.toml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, fail.Unable) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, text := range map[string]string{"empty": "", "CRLF": strings.ReplaceAll(ok, "\n", "\r\n"), "spaces": strings.Replace(ok, "[[rule]]", "  [[ rule ]]  # x", 1)} {
		if _, err := ParsePolicy("p.toml", []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// I8: what is no regular file of the right owner is refused, without blocking.
func TestI8_PolicyFilesOfOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	os.Mkdir(dir, 0o700)
	d := PolicyDirs{User: dir}
	file := filepath.Join(dir, "a.toml")
	for name, make := range map[string]func() error{
		"fifo":           func() error { return unix.Mkfifo(file, 0o600) },
		"directory":      func() error { return os.Mkdir(file, 0o700) },
		"loop":           func() error { return os.Symlink(file, file) },
		"symlink":        func() error { return os.Symlink("/dev/null", file) },
		"device":         func() error { return os.Symlink("/dev/zero", file) },
		"world-writable": func() error { os.WriteFile(file, nil, 0o600); return os.Chmod(file, 0o606) },
		"group-writable": func() error { os.WriteFile(file, nil, 0o600); return os.Chmod(file, 0o660) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), "a.toml") {
			t.Errorf("%s: %v", name, err)
		}
		os.RemoveAll(file)
	}
	if err := checkOwner("/etc/passwd", os.Getuid(), 0); err != nil {
		t.Errorf("root's file: %v", err)
	}
	if os.Getuid() != 0 {
		os.WriteFile(file, nil, 0o600)
		if _, err := (PolicyDirs{Admin: dir}).Load(); err == nil {
			t.Error("a user's file counts as the administrator's")
		}
	}
}

func TestPrependDecides(t *testing.T) {
	d := PolicyDirs{User: filepath.Join(t.TempDir(), "p")}
	for _, a := range []Action{Deny, Allow, Allow} { // the last is there
		if _, err := d.Prepend(Rule{Box: "web", Exec: "env", Args: []string{"a\"\n\x1b", "\u202e"}, Action: a}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	got := p.Decide(Query{Box: "web", Program: program("env"), Args: []string{"a\"\n\x1b", "\u202e"}})
	if got.Rule != &p.Rules[0] || got.Action != Allow || p.Rules[1].Action != Deny || p.Rules[2].Action == Allow {
		t.Errorf("%s by %s", got.Action, got.Where())
	}
	if _, err := d.Prepend(Rule{Box: "web", Exec: "a/b", Action: Allow}); err == nil {
		t.Error("a rule that cannot be read was written")
	}
}

func TestMeansEverything(t *testing.T) {
	for exec, want := range map[string]bool{"podman": true, "/usr/bin/env": true, "*": true, "@privileged": true, "uptime": false} {
		r := Rule{Exec: exec, Action: Allow}
		if r.MeansEverything() != want {
			t.Errorf("%s: %v", exec, !want)
		}
		if r.Action = Deny; r.MeansEverything() {
			t.Errorf("denying %s: true", exec)
		}
	}
}

func TestB15_Environ(t *testing.T) {
	got, err := environ(
		[]string{"A=host", "LANG=de", "TERM=hostterm", "LD_PRELOAD=x", "TBX_X=1", "PWD=/x", "EXTRA=host"},
		[]string{"LANG=xx", "TERM=t", "A=box", "EXTRA=box", "PATH=/evil", "TZ=a\x1b", "LC_ALL=a\nb", "COLORTERM=\u0085"}, []string{"EXTRA"})
	want := []string{"A=host", "EXTRA=box", "LANG=xx", "TBX_HOST_DEPTH=1", "TERM=t"}
	if err != nil || !slices.Equal(got.env, want) || !slices.Equal(got.extra, []string{"EXTRA=box"}) {
		t.Errorf("%v %q, from the toolbox by the rule %q", err, got.env, got.extra)
	}
	if want := []string{"A", "PATH", "TZ", "LC_ALL", "COLORTERM"}; !slices.Equal(got.dropped, want) {
		t.Errorf("dropped %q", got.dropped)
	}
	// Of two values of one name the rule saw the first; a value of the rule's is the only one.
	got, err = environ(nil, []string{"V=1", "V=2", "W=1", "W=2"}, []string{"V", "W=2"})
	if err != nil || !slices.Equal(got.extra, []string{"V=1", "W=2"}) {
		t.Errorf("%v %q", err, got.extra)
	}
	for _, depth := range []string{"4", "-1", "x", "99999999999999999999"} {
		if _, err := environ(nil, []string{depthVar + "=" + depth}, nil); err == nil {
			t.Errorf("depth %s is taken", depth)
		}
	}
}

// What acts on every program is never passed on, whatever a rule says.
func TestB15_NoRuleLetsThrough(t *testing.T) {
	var box, rule []string
	for _, name := range []string{"LD_PRELOAD", "MALLOC_TRACE", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "BASH_ENV", "ENV",
		"BASH_FUNC_ls", "GODEBUG", "TBX_X", "GIT_SSH_COMMAND", "PYTHONPATH", "PATH", "HOME"} {
		box, rule = append(box, name+"=x"), append(rule, name)
	}
	got, err := environ(nil, box, rule)
	if err != nil || !slices.Equal(got.dropped, rule) || len(got.env) != 1 {
		t.Errorf("%v, dropped %q, passed on %q", err, got.dropped, got.env)
	}
}

func TestHostPath(t *testing.T) {
	box := Box{Shares: []Share{{"/home/u/project", "/work"}}}
	for path, want := range map[string]string{
		"/work": "/home/u/project", "/work/a/../b": "/home/u/project/b", "/workers": "/workers",
		"/run/host/etc": "/etc", "/run/host": "/", "/home/u": "/home/u", "/work/../etc": "/etc",
	} {
		if got := hostPath(box, path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	box.Isolated = true
	if box.shared("/work/../etc/passwd") || !box.shared("/work/x") || box.shared("/workers") {
		t.Error("the borders of a share are not kept")
	}
}

// F11 and B18: intervals are of the monotonic clock, and questions few.
func TestB18_AskingRate(t *testing.T) {
	now := time.Now()
	a := newAsking(nil, func() time.Time { return now })
	for i := range 5 {
		err := a.begin("box")
		if (err != nil) != (i >= asksPerBox) {
			t.Errorf("question %d: %v", i, err)
		}
		a.end("box")
	}
	if err := a.begin("other"); err != nil {
		t.Errorf("another toolbox: %v", err)
	}
	if err := a.begin("other"); err == nil {
		t.Error("two questions of one toolbox are open at once")
	}
	now = now.Add(askWindow)
	if err := a.begin("box"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestB21_Bucket(t *testing.T) {
	b := bucket{burst: startsBurst, perSec: startsPerSec}
	now := time.Now()
	n := 0
	for b.take(now) {
		n++
	}
	for now = now.Add(time.Second / 10); b.take(now); {
		n++
	}
	now = now.Add(-time.Hour) // a clock that jumps back takes nothing and gives nothing
	if n != startsBurst+startsPerSec/10 || b.take(now) {
		t.Errorf("%d requests", n)
	}
}

func TestShown(t *testing.T) {
	if got := Shown([]string{"ls", "-l", "a b", "", "\x1b]0;x\x07", "\u202egpj.exe", "$(id)"}); got != `ls -l "a b" "" "\x1b]0;x\a" "\u202egpj.exe" "$(id)"` {
		t.Error(got)
	}
}

// B6: the peer may be gone, or of another user.
func TestB6_Identify(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	who, err := identify(p[0], Box{Pid: os.Getpid()})
	if err != nil || who.ns != "own" || who.pid != os.Getpid() || !who.alive() {
		t.Errorf("%+v, %v", who, err)
	}
	who.close()
	who, err = identify(p[0], Box{Pid: 1 << 30, Isolated: true})
	if err == nil {
		t.Error("an isolated toolbox whose namespace cannot be read is served")
	}
	if who.pidfd != -1 { // its caller would close a number that is another's by then
		t.Errorf("a caller who was refused has descriptor %d", who.pidfd)
	}
	box := Box{UIDs: []IDs{{100_000, 65_536}}}
	for uid, want := range map[int]bool{os.Getuid(): true, 100_000: true, 165_535: true, 165_536: false, 99_999: false, 65_534: false} {
		if box.mayBe(uid) != want {
			t.Errorf("user %d: %v", uid, !want)
		}
	}
}

func TestB19_Rotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "a.jsonl")
	now := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) // F11: no clock
	l := &AuditLog{Path: path, Now: func() time.Time { return now }}
	other := &AuditLog{Path: path, Now: time.Now}
	if _, err := l.Write(AuditEntry{Event: "request"}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if err := os.Truncate(path, maxLogFile-10); err != nil {
			t.Fatal(err)
		}
		for _, log := range []*AuditLog{l, other} {
			if _, err := log.Write(AuditEntry{Event: "request", Box: "b"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	os.Remove(kept(path))
	files, _ := filepath.Glob(path + "*")
	if len(files) != maxLogFiles {
		t.Errorf("files %q", files)
	}
	if data, _ := os.ReadFile(path); bytes.Count(data, []byte("\n")) != 2 {
		t.Errorf("the current file has %d lines", bytes.Count(data, []byte("\n")))
	}
	seen := 0
	err := ReadAudit(t.Context(), path, AuditFilter{Box: "b"}, false, func(AuditEntry) error { seen++; return nil })
	if err != nil || seen < 2 {
		t.Errorf("%d records, %v", seen, err)
	}
}

// A line that was lost is counted in the next one that is written.
func TestB19_LostLinesAreCounted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	os.Mkdir(path, 0o700)
	l := &AuditLog{Path: path, Now: time.Now}
	for range 3 {
		if _, err := l.Write(AuditEntry{}); err == nil {
			t.Fatal("wrote into a directory")
		}
	}
	os.Remove(path)
	l.Write(AuditEntry{Event: "request", Decision: Deny})
	var got []AuditEntry
	ReadAudit(t.Context(), path, AuditFilter{Denied: true}, false, func(r AuditEntry) error { got = append(got, r); return nil })
	if len(got) != 1 || got[0].Lost != 3 || got[0].Seq != 4 {
		t.Errorf("%+v", got)
	}
}

func TestAuditFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	l := &AuditLog{Path: path, Now: time.Now}
	l.Write(AuditEntry{Reason: "1"})
	got := make(chan string, 8)
	done := make(chan error)
	stop := errors.New("enough")
	go func() {
		done <- ReadAudit(t.Context(), path, AuditFilter{}, true, func(r AuditEntry) error {
			got <- r.Reason
			if r.Reason == "3" {
				return stop
			}
			return nil
		})
	}()
	<-got
	l.Write(AuditEntry{Reason: "2"})
	<-got
	os.Rename(path, rotated(path, 1))
	l.Write(AuditEntry{Reason: "3"})
	if err := <-done; err != stop {
		t.Error(err)
	}
}
