package hostbridge

import (
	_ "embed" // the built-in rules
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/internal/eintr"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/rootonly"
	"github.com/tbx-project/tbx/internal/tomlfile"
)

//go:embed builtin.toml
var builtin []byte

// maxPolicyFile is the size in bytes of the largest policy file that is read.
const maxPolicyFile = 256 << 10

// ownRules is the file in the user's directory that tbx itself writes. It sorts before
// the user's files with the usual numbers, or a remembered answer would have no effect:
// the rule that asked would decide again.
const ownRules = "00-tbx.toml"

// PolicyDirs are the directories of policy files.
type PolicyDirs struct {
	Admin string // the administrator's, /etc/tbx/host-policy.d: tried first
	User  string // the user's, $XDG_CONFIG_HOME/tbx/host-policy.d
}

// Load reads the administrator's rules, the user's and the built-in ones, each
// directory's files in the order of their names. One bad file is an error that names its
// line, and gives no policy at all: a denial in a broken rule must not get lost.
func (d PolicyDirs) Load() (*Policy, error) {
	p := &Policy{}
	for _, dir := range []struct {
		path string
		uid  int // besides root, who may own its files
	}{{d.Admin, 0}, {d.User, os.Getuid()}} {
		if dir.path == "" {
			continue
		}
		rules, err := loadDir(dir.path, dir.uid)
		if err != nil {
			return nil, err
		}
		p.Rules = append(p.Rules, rules...)
	}
	rules, err := ParsePolicy("built-in", builtin)
	if err != nil {
		return nil, err
	}
	p.Rules = append(p.Rules, rules...)
	return p, nil
}

func loadDir(dir string, uid int) ([]Rule, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = checkOwner(dir, uid, unix.O_DIRECTORY)
	}
	if err == nil && uid == 0 { // the administrator's: others may not be able to replace the directory either
		err = rootonly.Check(dir)
	}
	if err != nil {
		return nil, fail.Wrap(fail.Unable, err, "policy directory %s", dir)
	}
	var out []Rule
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".toml" || e.Name()[0] == '.' {
			continue
		}
		file := filepath.Join(dir, e.Name())
		data, err := readPolicyFile(file, uid)
		if err != nil {
			return nil, fail.Wrap(fail.Unable, err, "policy file %s", escape.Text(file))
		}
		rules, err := ParsePolicy(file, data)
		if err != nil {
			return nil, err
		}
		out = append(out, rules...)
	}
	return out, nil
}

func checkOwner(name string, uid, kind int) error {
	fd, err := eintr.Open(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|kind, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return checkFd(fd, uid)
}

func checkFd(fd, uid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG && st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return errors.New("it is not a regular file")
	case int(st.Uid) != 0 && int(st.Uid) != uid:
		return errors.New("it belongs to user " + strconv.Itoa(int(st.Uid)) + ", who has no say here")
	case st.Mode&0o022 != 0:
		return errors.New("others may write to it; remove that with: chmod go-w")
	case st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > maxPolicyFile:
		return errors.New("it is larger than 256 KiB")
	}
	return nil
}

// readPolicyFile never follows a symlink and never blocks on a FIFO.
func readPolicyFile(name string, uid int) ([]byte, error) {
	fd, err := eintr.Open(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("it is a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if err := checkFd(fd, uid); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPolicyFile+1))
	if len(data) > maxPolicyFile {
		return nil, errors.New("it is larger than 256 KiB")
	}
	return data, err
}

// ParsePolicy reads the text of one policy file. name is for messages.
func ParsePolicy(name string, data []byte) ([]Rule, error) {
	shown := escape.Text(name)
	var doc struct {
		Rule []Rule `toml:"rule"`
	}
	f, err := tomlfile.Parse(name, data, &doc)
	if err != nil {
		return nil, mistake(err)
	}
	if n := multiLine(data); n > 0 {
		return nil, fail.New(fail.Unable, "policy %s: write strings on one line, without \"\"\" or '''", where(shown, n))
	}
	lines := ruleLines(data)
	if len(lines) != len(doc.Rule) {
		return nil, fail.New(fail.Unable, "policy %s: each rule must begin with a line [[rule]], and no other line may look like it", shown)
	}
	if err := f.Unknown(); err != nil {
		return nil, mistake(err)
	}
	for i := range doc.Rule {
		r := &doc.Rule[i]
		r.Where = where(shown, lines[i])
		if err := r.validate(); err != nil {
			return nil, fail.Wrap(fail.Unable, err, "policy %s", r.Where)
		}
	}
	return doc.Rule, nil
}

// multiLine returns the first line that begins a string of several lines, or 0. In such a
// string a line could look like a rule's header, and the deciding rule would be shown at
// a wrong line.
func multiLine(data []byte) int {
	for i, line := range strings.Split(string(data), "\n") {
		if strings.Contains(line, `"""`) || strings.Contains(line, "'''") {
			return i + 1
		}
	}
	return 0
}

// ruleLines returns the line numbers of the rules' headers, which the decoder does not
// tell. A text that hides a header, as [["rule"]], gives fewer lines than the decoder
// found rules, and the caller refuses it.
func ruleLines(data []byte) []int {
	var out []int
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if strings.Join(strings.Fields(line), "") == "[[rule]]" {
			out = append(out, i+1)
		}
	}
	return out
}

// mistake returns the failure for an invalid policy file.
func mistake(err error) error {
	e := fail.New(fail.Unable, "policy %v", err)
	var in *tomlfile.Error
	if errors.As(err, &in) && len(in.Near) > 0 {
		e.Hint("%s", in.DidYouMean())
	}
	return e.Hint("until it is repaired, nothing may run on the host from a toolbox")
}

func (r *Rule) validate() error {
	if _, err := path.Match(r.Box, ""); r.Box == "" || err != nil {
		return errors.New(`box must be a name, a pattern, "@integrated", "@isolated" or "@any"`)
	}
	if r.Box[0] == '@' && !slices.Contains([]string{"@integrated", "@isolated", "@any"}, r.Box) {
		return errors.New("no such group of toolboxes: " + escape.Quote(r.Box))
	}
	switch {
	case (r.Verb == "") == (r.Exec == ""):
		return errors.New("a rule has either verb or exec")
	case r.Verb != "" && r.Verb != "*" && verbs[r.Verb].build == nil:
		return errors.New("no such verb: " + escape.Quote(r.Verb))
	case strings.Contains(r.Exec, "/") && (!filepath.IsAbs(r.Exec) || filepath.Clean(r.Exec) != r.Exec),
		strings.HasPrefix(r.Exec, "-"), r.Exec != "@privileged" && strings.HasPrefix(r.Exec, "@"):
		return errors.New(`exec must be a name, an absolute path, "*" or "@privileged"`)
	case r.Action != Allow && r.Action != Deny && r.Action != Ask:
		return errors.New(`action must be "allow", "deny" or "ask"`)
	case r.TTY != "" && r.TTY != "auto" && r.TTY != "never":
		return errors.New(`tty must be "auto" or "never"`)
	case !slices.Contains([]Remember{"", RememberNone, RememberSession, RememberAlways}, r.Remember):
		return errors.New(`remember must be "none", "session" or "always"`)
	case r.Remember != "" && r.Action != Ask:
		return errors.New(`remember goes with action = "ask" only`)
	case r.Cwd != "" && r.Cwd != "home":
		return errors.New(`cwd must be "home"`)
	case r.Dir != "" && (r.Exec == "" || !filepath.IsAbs(r.Dir) || filepath.Clean(r.Dir) != r.Dir):
		return errors.New("dir must be an absolute path, and goes with exec only")
	}
	if i := slices.Index(r.Args, "**"); i >= 0 && i != len(r.Args)-1 {
		return errors.New(`"**" must be the last of args`)
	}
	for _, kv := range r.Env {
		name, value, _ := strings.Cut(kv, "=")
		if !variableName(name) || neverFromBox(name) || !plain(value) {
			return errors.New("env: " + escape.Quote(name) + " may not come from a toolbox")
		}
	}
	return nil
}

// Test returns the policy's decision about a request in the current directory and without
// variables, without making it.
func (d PolicyDirs) Test(box string, isolated, verb bool, argv []string) (Decision, error) {
	p, err := d.Load()
	if err != nil {
		return Decision{}, err
	}
	q := Query{Box: box, Isolated: isolated, Args: argv[1:]}
	if verb {
		if verbs[argv[0]].build == nil {
			return Decision{}, fail.New(fail.NotFound, "there is no verb %s", escape.Quote(argv[0])).
				Hint("there are: %s", strings.Join(Verbs(), ", "))
		}
		q.Verb = argv[0]
	} else if q.Program, err = Resolve(argv[0], SystemPath); err != nil {
		return Decision{}, err
	} else if p, err := openPlace(".", unix.O_DIRECTORY); err == nil {
		q.Dir = p.path
		p.close()
	}
	return p.Decide(q), nil
}

// Builtin reports whether the rule is one of tbx's own.
func (r *Rule) Builtin() bool { return strings.HasPrefix(r.Where, "built-in:") }
