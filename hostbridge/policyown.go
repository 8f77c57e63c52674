package hostbridge

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/atomicfile"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/flock"
)

// Prepend writes a rule before all others of the user's own file, so that it
// decides, and returns the file. The directory is made where it is missing.
func (d PolicyDirs) Prepend(r Rule) (string, error) {
	if d.User == "" {
		return "", fail.New(fail.Unable, "there is no directory for the user's policy")
	}
	if err := r.validate(); err != nil {
		return "", fail.Wrap(fail.Usage, err, "no such rule can be written")
	}
	if err := os.MkdirAll(d.User, 0o700); err != nil {
		return "", fail.Wrap(fail.Unable, err, "policy directory")
	}
	return d.own(), d.change(func(old []byte) ([]byte, error) {
		text, err := r.encode()
		if err != nil || bytes.HasPrefix(old, text) { // it is the first already
			return old, err
		}
		return append(text, old...), nil
	})
}

func (d PolicyDirs) own() string { return filepath.Join(d.User, ownRules) }

func (r Rule) encode() ([]byte, error) {
	var text bytes.Buffer
	enc := toml.NewEncoder(&text)
	enc.Indent = ""
	err := enc.Encode(map[string][]Rule{"rule": {r}})
	text.WriteByte('\n')
	return text.Bytes(), err
}

// change replaces the text of tbx's own file, one process at a time. It refuses a text
// that is not a valid policy.
func (d PolicyDirs) change(to func(old []byte) ([]byte, error)) error {
	file := d.own()
	patience, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	lock, err := flock.Wait(patience, filepath.Join(d.User, "."+ownRules+".lock"))
	if err != nil {
		return fail.Wrap(fail.Unable, err, "policy file %s", file)
	}
	defer lock.Close()
	old, err := readPolicyFile(file, os.Getuid())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail.Wrap(fail.Unable, err, "policy file %s", file)
	}
	text, err := to(old)
	if err != nil || bytes.Equal(text, old) {
		return err
	}
	if _, err := ParsePolicy(file, text); err != nil {
		return err
	}
	if len(text) > maxPolicyFile {
		return fail.New(fail.Unable, "policy file %s: it would be larger than 256 KiB", file)
	}
	return atomicfile.Write(file, text, 0o600)
}

// Granted lists the rules, the administrator's and the user's, that name exactly that
// toolbox and allow it something, or ask. They outlive it, unless they are removed, and
// apply to the next one of that name.
func (d PolicyDirs) Granted(box string) ([]Rule, error) {
	p, err := d.Load()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(p.Rules, func(r Rule) bool { return r.Box != box || r.Action == Deny }), nil
}

// Forget removes the rules in tbx's own file that name exactly that toolbox, and returns
// them. Those in other files are the user's to remove.
func (d PolicyDirs) Forget(box string) (gone []Rule, err error) {
	if _, err := os.Lstat(d.own()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = d.change(func(old []byte) (text []byte, err error) {
		gone = nil
		return d.each(old, func(r Rule, block []byte) ([]byte, error) {
			if r.Box != box {
				return block, nil
			}
			gone = append(gone, r)
			return nil, nil
		})
	})
	return gone, err
}

// Rename changes the rules in tbx's own file for the toolbox from to the name to, and
// removes rules that to has from an earlier toolbox. It returns their number.
func (d PolicyDirs) Rename(from, to string) (moved int, err error) {
	if _, err := os.Lstat(d.own()); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	err = d.change(func(old []byte) ([]byte, error) {
		moved = 0
		return d.each(old, func(r Rule, block []byte) ([]byte, error) {
			switch r.Box {
			case to:
				return nil, nil
			case from:
				moved++
				r.Box = to
				return r.encode()
			}
			return block, nil
		})
	})
	return moved, err
}

// each replaces every rule of a file's text. A rule's block begins with its header and
// ends before the next one's.
func (d PolicyDirs) each(text []byte, to func(r Rule, block []byte) ([]byte, error)) ([]byte, error) {
	rules, err := ParsePolicy(d.own(), text)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	begins := append(ruleLines(text), len(lines)+1) // of ParsePolicy, one for each rule
	out := []byte(strings.Join(lines[:begins[0]-1], ""))
	for i, r := range rules {
		block, err := to(r, []byte(strings.Join(lines[begins[i]-1:begins[i+1]-1], "")))
		if err != nil {
			return nil, err
		}
		out = append(out, block...)
	}
	return out, nil
}
