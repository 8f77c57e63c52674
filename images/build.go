package images

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// builtHere begins the names of images that are named by their content.
const builtHere = "localhost/tbx/build/"

// Build describes an image to build. NewBuild fills it in.
type Build struct {
	File    string            // absolute path of the Containerfile
	Context string            // absolute path of the directory that COPY and ADD see; "" when nothing is copied
	Tag     string            // name of the image
	Args    map[string]string // values of ARG; the hash knows them
	Hash    string            // of all of these but Tag
	// AuthFile is a containers-auth.json(5) for the base images.
	AuthFile string
}

// NewBuild reads what path names: a Containerfile, or a directory that holds one
// as Containerfile or Dockerfile. tag "" names the image by its content, so that
// it is built again only when that changes.
func NewBuild(path, tag string, args map[string]string) (Build, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Build{}, err
	}
	b := Build{File: path, Tag: tag, Args: args}
	fi, err := os.Stat(path)
	if err == nil && fi.IsDir() {
		b.File = filepath.Join(path, "Containerfile")
		if _, err := os.Stat(b.File); errors.Is(err, fs.ErrNotExist) {
			b.File = filepath.Join(path, "Dockerfile")
		}
	}
	text, err := os.ReadFile(b.File)
	if errors.Is(err, fs.ErrNotExist) {
		return Build{}, fail.New(fail.NotFound, "containerfile %s: there is none", escape.Text(path)).
			Hint("give a Containerfile, or a directory with one in it")
	}
	if err != nil {
		return Build{}, fmt.Errorf("containerfile: %w", err)
	}
	if copies(text) {
		b.Context = filepath.Dir(b.File)
	}
	if b.Hash, err = b.hash(text); err != nil {
		return Build{}, fmt.Errorf("containerfile %s: its directory: %w", escape.Text(b.File), err)
	}
	if b.Tag == "" {
		b.Tag = builtHere + slug(filepath.Base(filepath.Dir(b.File))) + ":" + b.Hash[:12]
	}
	ref, err := ParseRef(b.Tag)
	if err == nil && (ref.ID != "" || ref.Digest != "") {
		err = fail.New(fail.Usage, "image name %s: it must be a name with or without a tag", escape.Quote(tag))
	}
	return b, err
}

// copies reports whether a Containerfile reads its directory. A wrong yes costs no more
// than hashing that directory.
func copies(text []byte) bool {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(lines.Text())), " ")
		if word == "COPY" || word == "ADD" || strings.Contains(lines.Text(), "--mount") {
			return true
		}
	}
	return false
}

// hash covers the file, the arguments and everything in the context: names, kinds,
// executable bits, contents. It does not honour .containerignore, so that a changed
// ignored file causes a build.
func (b Build) hash(text []byte) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "file %d\n%s", len(text), text)
	fmt.Fprintf(h, "args %q\n", b.Args) // fmt sorts a map's keys
	if b.Context == "" {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	err := filepath.WalkDir(b.Context, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.Context, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %s %d %t\n", name, info.Mode().Type(), info.Size(), info.Mode()&0o111 != 0)
		switch {
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(h, f)
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(h, "%q\n", target)
			return err
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// slug makes a path part of an image name from a directory's name.
func slug(s string) string {
	parts := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r > 'z' || !isLowerAlnum(byte(r)) })
	if len(parts) == 0 {
		return "image"
	}
	return strings.Join(parts, "-")
}

// EnsureBuilt returns the image of b: the existing one if it was built from the same
// content, else a new one, with its provenance written down and prepared.
func EnsureBuilt(ctx context.Context, store Store, b Build, stateDir string, progress Progress) (Image, error) {
	records := ProvenancesIn(stateDir)
	img, err := store.Inspect(ctx, b.Tag)
	switch {
	case err == nil:
		if rec, ok, err := records.Load(img.ID); err == nil && ok && rec.Build != nil && rec.Build.Hash == b.Hash {
			return img, nil
		}
	case !errors.Is(err, fail.NotFound):
		return Image{}, err
	}
	if img, err = store.Build(ctx, b, progress); err != nil {
		return Image{}, err
	}
	record := Provenance{Image: img.ID, Reference: b.Tag, Origin: OriginBuild, Build: &Built{b.File, b.Args, b.Hash}}
	if err := records.Save(record); err != nil {
		return Image{}, fmt.Errorf("image %s: record its origin: %w", b.Tag, err)
	}
	return img, Fetcher{Store: store, StateDir: stateDir, Progress: progress}.prepare(ctx, img, PullOptions{})
}

// Changed reports whether a Containerfile or its directory has changed since the build,
// and returns the build of the present content, named by it. A missing file counts as
// unchanged.
func (r Built) Changed() (bool, Build, error) {
	b, err := NewBuild(r.Containerfile, "", r.Args)
	if errors.Is(err, fail.NotFound) {
		return false, Build{}, nil
	}
	return b.Hash != r.Hash, b, err
}

// NamedByContent reports whether the image is named by its content. The next build does
// not take such a name from it.
func (r Provenance) NamedByContent() bool { return strings.HasPrefix(r.Reference, builtHere) }
