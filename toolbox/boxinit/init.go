package boxinit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// box is the state of one run of the initialiser. Paths are below root, which
// is "" in a real toolbox and a directory of the test's in tests.
type box struct {
	cfg  Config
	root string
	out  *json.Encoder
	step string

	ownShell string   // the login shell that was chosen inside
	wrote    string   // the one that tbx wrote into passwd(5)
	locales  []string // locales that are there, or cannot be
}

// fatal marks an error after which the toolbox cannot be entered.
type fatal struct {
	err  error
	hint string
}

func (f fatal) Error() string { return f.err.Error() }

// Init reads a Config from in, sets the toolbox up and reports Events on out. It returns
// an error if the toolbox cannot be used, after reporting it.
func Init(in io.Reader, out io.Writer) error {
	unix.Umask(0o022) // what is made here stays, whoever started the toolbox
	b := &box{out: json.NewEncoder(out)}
	if err := json.NewDecoder(in).Decode(&b.cfg); err != nil {
		return b.fail(fatal{err: fmt.Errorf("cannot read the host's request: %w", err),
			hint: "tbx and tbx-box may be of different versions: reinstall tbx"})
	}
	if b.cfg.LocalesOnly {
		return b.take([]step{{"locale", b.ensureLocales}})
	}
	if b.cfg.GiveBack {
		return b.take([]step{{"leftovers", b.restoreLeftovers}})
	}
	return b.run()
}

// step is one thing to set up.
type step struct {
	name string
	do   func() error
}

func (b *box) run() error {
	return b.take([]step{
		{"state", b.makeStateDir},
		{"program", b.attachBox},
		{"host view", b.attachHostView},
		{"home", b.trimHome},
		{"mounts of the host", b.attachMounts},
		{"devices", b.dropDeviceMounts},
		{"former starts", b.emptyRun},
		{"directories", b.makeDirectories},
		{"leftovers", b.clearLeftovers},
		{"user", b.ensureUser},
		{"files of tbx", b.writeFiles},
		{"time zone", b.nameZone},
		{"files of the host", b.followHostFiles},
		{"host name", b.ensureHostname},
		{"links to the host", b.linkHostPaths},
		{"commands", b.linkFirst},
		{"mounts of the host", b.bindHostPaths},
		{"directories of packages", b.makeRunDirectories},
		{"runtime directory", b.ensureRuntimeDir},
		{"containers", b.ownContainers},
		{"SELinux", b.hideSELinux},
		{"package managers", b.exceptSharedPaths},
		{"locale", b.ensureLocales},
	})
}

// take takes steps, and says when it is done.
func (b *box) take(steps []step) error {
	for _, s := range steps {
		b.step = s.name
		b.out.Encode(Event{Step: s.name})
		err := s.do()
		var f fatal
		switch {
		case errors.As(err, &f):
			return b.fail(f)
		case err != nil:
			for _, line := range strings.Split(err.Error(), "\n") { // of errors.Join
				b.out.Encode(Event{Step: b.step, Warning: line})
			}
		}
	}
	return b.out.Encode(Event{Ready: &Summary{
		Shell: cmp.Or(b.ownShell, b.loginShell()), Wrote: b.wrote, Watch: b.ownHosts() && b.cfg.HostFiles, Locales: b.locales,
	}})
}

func (b *box) fail(f fatal) error {
	b.out.Encode(Event{Step: b.step, Error: f.err.Error(), Hint: f.hint})
	return f.err
}

// makeStateDir is the first step that writes: if it fails, the toolbox's own file system
// is unusable.
func (b *box) makeStateDir() error {
	for _, dir := range []string{"/etc", filepath.Dir(Marker), filepath.Dir(StateDir), StateDir} {
		if err := b.own(dir); err != nil {
			return fatal{err: fmt.Errorf("the image cannot be used for a toolbox: %w", err), hint: "choose another image"}
		}
	}
	if err := b.mkdir(StateDir); err != nil {
		return fatal{err: fmt.Errorf("cannot write inside the toolbox: %w", err), hint: "look for a full disk with: df -h ~"}
	}
	if err := errors.Join(os.Chmod(b.root+StateDir, 0o755), b.chown(b.root+StateDir)); err != nil {
		return err
	}
	return errors.Join(
		b.create(Marker, nil, 0o644), b.create(MarkerToo, nil, 0o644),
		b.create(StateDir+"/name", []byte(b.cfg.Name+"\n"), 0o644), b.writeMark(),
	)
}

func (b *box) chown(path string) error {
	if b.root != "" { // a test runs as an ordinary user
		return nil
	}
	return os.Lchown(path, b.cfg.User.UID, b.cfg.User.GID)
}
