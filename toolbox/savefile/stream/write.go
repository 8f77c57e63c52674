package stream

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/tbx-project/tbx/toolbox/savefile"
)

const (
	manifestName = "tbx-toolbox.json"
	endName      = "tbx-end.json"
	piece        = 1 << 20 // bytes of the pieces of a part
	maxManifest  = 4 << 20 // bytes
)

// end is the last member.
type end struct {
	SHA256 string `json:"sha256"` // of all that was before it, see note
}

// note takes a member into the digest: its name and size, a line, and its content follows.
func note(h hash.Hash, name string, size int64) { fmt.Fprintf(h, "%s %d\n", name, size) }

// Writer writes a file.
type Writer struct {
	zip  *zstd.Encoder
	tar  *tar.Writer
	sum  hash.Hash
	made *savefile.Manifest
	next int // part
}

// NewWriter begins a file. The parts of m must follow in their order.
func NewWriter(w io.Writer, m *savefile.Manifest) (*Writer, error) {
	zip, err := zstd.NewWriter(w)
	if err != nil {
		return nil, err
	}
	m.Version = savefile.Version
	out := &Writer{zip: zip, tar: tar.NewWriter(zip), sum: sha256.New(), made: m}
	data, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = out.member(manifestName, append(data, '\n'))
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (w *Writer) member(name string, data []byte) error {
	note(w.sum, name, int64(len(data)))
	w.sum.Write(data)
	err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: w.made.Made})
	if err == nil {
		_, err = w.tar.Write(data)
	}
	return err
}

// Part implements savefile.Writer.
func (w *Writer) Part(name string, write func(io.Writer) error) error {
	if w.next >= len(w.made.Parts) || w.made.Parts[w.next] != name {
		return fmt.Errorf("part %s does not come next", name)
	}
	w.next++
	p := &pieces{w: w, name: name, buf: make([]byte, 0, piece)}
	if err := write(p); err != nil {
		return err
	}
	return p.flush()
}

// pieces cuts what is written into members.
type pieces struct {
	w    *Writer
	name string
	n    int
	buf  []byte
}

func (p *pieces) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		n := min(piece-len(p.buf), len(rest))
		p.buf, rest = append(p.buf, rest[:n]...), rest[n:]
		if len(p.buf) == piece {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(data), nil
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	err := p.w.member(pieceName(p.name, p.n), p.buf)
	p.n, p.buf = p.n+1, p.buf[:0]
	return err
}

func pieceName(part string, n int) string { return fmt.Sprintf("%s/%08d", part, n) }

// partOf is the part that a member is a piece of, or "".
func partOf(member string) string {
	part, _, ok := strings.Cut(member, "/")
	if !ok {
		return ""
	}
	return part
}

// Close ends the file. Without it, it is not whole.
func (w *Writer) Close() error {
	if w.next != len(w.made.Parts) {
		return fmt.Errorf("part %s was not written", w.made.Parts[w.next])
	}
	data, err := json.Marshal(end{hex.EncodeToString(w.sum.Sum(nil))})
	if err == nil {
		err = w.member(endName, append(data, '\n'))
	}
	if err == nil {
		err = w.tar.Close()
	}
	if err == nil {
		err = w.zip.Close()
	}
	return err
}
