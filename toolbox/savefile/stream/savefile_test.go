package stream

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/savefile"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// noise is data that no compression makes shorter.
func noise(n int) []byte {
	r, out := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func sample() *savefile.Manifest {
	return &savefile.Manifest{Toolbox: "web", Spec: "version = 1\n",
		Image: savefile.Image{Reference: "debian:12", ID: strings.Repeat("a", 64)}, Driver: "overlay", Parts: []string{savefile.PartLayer, savefile.PartHome}}
}

// write makes a file of parts.
func write(t *testing.T, layer []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, sample())
	must(t, err)
	must(t, w.Part(savefile.PartLayer, func(w io.Writer) error {
		for at := 0; at < len(layer); at += 70_000 {
			if _, err := w.Write(layer[at:min(at+70_000, len(layer))]); err != nil {
				return err
			}
		}
		return nil
	}), w.Part(savefile.PartHome, func(io.Writer) error { return nil }), w.Close())
	return out.Bytes()
}

// read reads a file to its end.
func read(file []byte) (layer []byte, err error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if layer, err = io.ReadAll(r.Part(savefile.PartLayer)); err != nil {
		return nil, err
	}
	if err = r.Skip(savefile.PartHome); err != nil {
		return nil, err
	}
	return layer, r.End()
}

// TestE110_SaveFile: what is written is read, and tar(1) finds the parts.
func TestE110_SaveFile(t *testing.T) {
	for _, size := range []int{0, 1, piece, 3*piece + 7} {
		want := noise(size)
		file := write(t, want)
		got, err := read(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
		zip, err := zstd.NewReader(bytes.NewReader(file))
		must(t, err)
		var names []string
		for in := tar.NewReader(zip); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			names = append(names, h.Name)
		}
		if names[0] != manifestName || names[len(names)-1] != endName || size > 0 && names[1] != "layer/00000000" {
			t.Errorf("%d bytes: %v", size, names)
		}
	}
}

// TestE111_DamagedFile: a file that was cut at any place, or has another bit anywhere, is
// refused.
func TestE111_DamagedFile(t *testing.T) {
	file := write(t, noise(2*piece+100))
	step := len(file)/31 + 1
	for at := 0; at < len(file); at += step {
		if _, err := read(file[:at]); err == nil || at > 0 && !errors.Is(err, savefile.ErrDamaged) {
			t.Errorf("cut at %d: %v", at, err)
		}
		bad := bytes.Clone(file)
		bad[at] ^= 0x10
		if _, err := read(bad); err == nil {
			t.Errorf("another bit at %d is taken", at)
		}
	}
	for _, more := range []string{"x", string(file)} {
		if _, err := read(append(bytes.Clone(file), more...)); !errors.Is(err, savefile.ErrDamaged) {
			t.Errorf("with more behind it: %v", err)
		}
	}
}

// TestE111_OtherMembers: pieces that were exchanged or left out, and a newer version, in a
// file that is well-formed otherwise.
func TestE111_OtherMembers(t *testing.T) {
	zip, err := zstd.NewReader(bytes.NewReader(write(t, noise(2*piece+100))))
	must(t, err)
	type member struct {
		name string
		data []byte
	}
	var all []member
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		data, err := io.ReadAll(in)
		must(t, err)
		all = append(all, member{h.Name, data})
	}
	again := func(change func(i int, m *member) bool) error {
		var out bytes.Buffer
		zip, err := zstd.NewWriter(&out)
		must(t, err)
		w := tar.NewWriter(zip)
		for i, m := range all {
			if change(i, &m) {
				must(t, w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data))}))
				_, err := w.Write(m.data)
				must(t, err)
			}
		}
		must(t, w.Close(), zip.Close())
		_, err = read(out.Bytes())
		return err
	}
	if err := again(func(int, *member) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(i int, m *member) bool{
		"a piece left out":  func(i int, m *member) bool { return i != 1 },
		"the last left out": func(i int, m *member) bool { return i != 3 },
		"no end":            func(i int, m *member) bool { return m.name != endName },
		"another name": func(i int, m *member) bool {
			if m.name == manifestName {
				m.data = bytes.Replace(m.data, []byte("web"), []byte("wet"), 1)
			}
			return true
		},
		"another part": func(i int, m *member) bool {
			m.name = strings.Replace(m.name, "layer/00000002", "image/00000000", 1)
			return true
		},
	} {
		if err := again(change); !errors.Is(err, savefile.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	err = again(func(i int, m *member) bool {
		if m.name == manifestName {
			m.data = bytes.Replace(m.data, []byte(`"version": 1`), []byte(`"version": 7`), 1)
		}
		return true
	})
	if !errors.Is(err, fail.Unable) || !strings.Contains(err.Error(), "newer tbx") {
		t.Errorf("a newer version: %v", err)
	}
	if _, err := read([]byte("#!/bin/sh\n")); !errors.Is(err, fail.Usage) {
		t.Errorf("another file: %v", err)
	}
}
