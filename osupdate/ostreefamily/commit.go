package ostreefamily

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// Commit is what a commit's own metadata says, which every user may read.
type Commit struct {
	Time      *time.Time
	Version   string
	EndOfLife string
	Successor string // the ref to follow then: ostree.endoflife-rebase
	Digest    string // of the container image's manifest
}

// mostOfCommit is far beyond the size of a commit object with the manifest and the
// configuration of an image in it.
const mostOfCommit = 8 << 20

// ReadCommit reads the commit object of a repository; the zero value where it is not
// there or cannot be read. Its form is (a{sv}aya(say)sstayay), ostree's
// ostree-core.h.
func ReadCommit(repo, checksum string) (c Commit) {
	if len(checksum) != 64 {
		return c
	}
	path := filepath.Join(repo, "objects", checksum[:2], checksum[2:]+".commit")
	if fi, err := os.Stat(path); err != nil || fi.Size() > mostOfCommit {
		return c
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c
	}
	return parseCommit(data)
}

func parseCommit(data []byte) (c Commit) {
	const framed = 6 // members of variable size but the last; their ends stand in reverse at the end
	size := offsetSize(len(data))
	if size == 0 || len(data) < framed*size {
		return c
	}
	end := func(n int) int { at := len(data) - n*size; return read(data[at : at+size]) }
	meta, stamp := end(1), align8(end(5))
	if meta > len(data) || stamp+8 > len(data) {
		return c
	}
	if n := binary.BigEndian.Uint64(data[stamp:]); n > 0 && n < 1<<40 {
		t := time.Unix(int64(n), 0).UTC()
		c.Time = &t
	}
	dict, ok := dictionary(data[:meta])
	if !ok {
		return c
	}
	c.Version, c.EndOfLife, c.Successor = dict["version"].text(), dict["ostree.endoflife"].text(), dict["ostree.endoflife-rebase"].text()
	c.Digest = dict["ostree.manifest-digest"].text()
	if config := dict["ostree.container.image-config"].text(); config != "" {
		c.image(config)
	}
	return c
}

// image takes the version and the date of an image's configuration, which is what
// the image's maker says; the commit is made on this host.
func (c *Commit) image(config string) {
	var doc struct {
		Created time.Time `json:"created"`
		Config  struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if json.Unmarshal([]byte(config), &doc) != nil {
		return
	}
	for _, label := range []string{"org.opencontainers.image.version", "version"} {
		if c.Version == "" {
			c.Version = doc.Config.Labels[label]
		}
	}
	if !doc.Created.IsZero() {
		t := doc.Created.UTC()
		c.Time = &t
	}
}

// Fill completes d with what its commit says and the updater did not.
func (c *Commit) Fill(d *osupdate.Deployment) {
	if d.Version == "" {
		d.Version = c.Version
	}
	if d.Time == nil {
		d.Time = c.Time
	}
	if d.EndOfLife == "" {
		d.EndOfLife = c.EndOfLife
	}
	if d.Successor == "" {
		d.Successor = c.Successor
	}
	if d.Image != nil && d.Image.Digest == "" {
		d.Image.Digest = c.Digest
	}
}

// Remote is a remote of an OSTree repository.
type Remote struct {
	URL    string
	Signed bool // commits must be signed: gpg-verify, or sign-verify
}

// Remotes are those of a sysroot, from its repository's configuration and from
// /etc/ostree/remotes.d; nil where none may be read.
func Remotes(root, sysroot string) map[string]Remote {
	files, _ := filepath.Glob(filepath.Join(root, "etc/ostree/remotes.d/*.conf")) // the pattern is constant: no error
	files = append([]string{filepath.Join(sysroot, "ostree/repo/config")}, files...)
	var out map[string]Remote
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		o, err := osupdate.ParseOrigin(data)
		if err != nil {
			continue
		}
		for _, g := range o.Groups {
			name, ok := strings.CutPrefix(g.Name, `remote "`)
			if !ok {
				continue
			}
			r := Remote{Signed: true} // the default of gpg-verify
			for _, kv := range g.Keys {
				switch kv[0] {
				case "url":
					r.URL = kv[1]
				case "gpg-verify", "sign-verify":
					r.Signed = kv[1] != "false" && kv[1] != ""
				}
			}
			if out == nil {
				out = map[string]Remote{}
			}
			out[strings.TrimSuffix(name, `"`)] = r
		}
	}
	return out
}

// Signature is how the signature of what d follows is checked: required, none, or
// what an image's policy says; empty where it is not known.
func Signature(d *osupdate.Deployment, remotes map[string]Remote) string {
	if d.Image != nil {
		return d.Image.Signature
	}
	source := osupdate.ParseSource(d.Tracks)
	if source.Class != osupdate.SourceRef || source.Remote == "" {
		return ""
	}
	switch r, ok := remotes[source.Remote]; {
	case !ok:
		return ""
	case r.Signed:
		return "required"
	}
	return "none"
}
