package stream

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/tbx-project/tbx/toolbox/savefile"
)

// Reader reads a file.
type Reader struct {
	savefile.Manifest

	zip *zstd.Decoder
	tar *tar.Reader
	sum hash.Hash
	now *tar.Header // the member that is being read, nil when all were
}

// maxWindow is how much of what was unpacked the decoder may have to keep, in bytes.
const maxWindow = 64 << 20

// NewReader reads the beginning of a file.
func NewReader(r io.Reader) (*Reader, error) {
	zip, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	in := &Reader{zip: zip, tar: tar.NewReader(zip), sum: sha256.New()}
	m, err := in.begin()
	if err != nil {
		zip.Close()
		return nil, err
	}
	in.Manifest = *m
	return in, nil
}

func (r *Reader) begin() (*savefile.Manifest, error) {
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, tar.ErrHeader), errors.Is(err, io.EOF):
		return nil, savefile.Foreign()
	case err != nil:
		return nil, savefile.Damaged(err)
	case h.Name != manifestName || h.Size > maxManifest:
		return nil, savefile.Foreign()
	}
	note(r.sum, h.Name, h.Size)
	data, err := io.ReadAll(io.TeeReader(r.tar, r.sum))
	if err != nil {
		return nil, savefile.Damaged(err)
	}
	m, err := savefile.Parse(data)
	if err != nil {
		return nil, err
	}
	return m, r.member()
}

// member goes to the next member.
func (r *Reader) member() error {
	h, err := r.tar.Next()
	if err != nil {
		return savefile.Damaged(unexpected(err))
	}
	if h.Typeflag != tar.TypeReg || h.Size < 0 || h.Size > piece || len(h.PAXRecords) > 0 {
		return savefile.Damaged(errors.New("there is something in it that tbx does not write"))
	}
	r.now = h
	if h.Name != endName {
		note(r.sum, h.Name, h.Size)
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Part implements savefile.Reader.
func (r *Reader) Part(name string) io.Reader { return &partReader{r: r, name: name} }

type partReader struct {
	r    *Reader
	name string
	n    int
}

func (p *partReader) Read(buf []byte) (int, error) {
	for {
		h := p.r.now
		if partOf(h.Name) != p.name {
			return 0, io.EOF
		}
		if h.Name != pieceName(p.name, p.n) {
			return 0, savefile.Damaged(errors.New("a piece of it is missing"))
		}
		n, err := p.r.tar.Read(buf)
		p.r.sum.Write(buf[:n])
		switch {
		case n > 0:
			return n, nil
		case err == nil:
		case !errors.Is(err, io.EOF):
			return 0, savefile.Damaged(err)
		default:
			if err := p.r.member(); err != nil {
				return 0, err
			}
			p.n++
		}
	}
}

// Skip reads parts that nobody wants.
func (r *Reader) Skip(parts ...string) error {
	for _, name := range parts {
		if _, err := io.Copy(io.Discard, r.Part(name)); err != nil {
			return err
		}
	}
	return nil
}

// End implements savefile.Reader.
func (r *Reader) End() error {
	if r.now.Name != endName {
		return savefile.Damaged(errors.New("there is something in it that tbx does not write"))
	}
	data, err := io.ReadAll(r.tar)
	if err != nil {
		return savefile.Damaged(err)
	}
	var e end
	if err := json.Unmarshal(data, &e); err != nil {
		return savefile.Damaged(err)
	}
	if e.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
		return savefile.Damaged(errors.New("its digest is another one"))
	}
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return savefile.Damaged(errors.New("there is something behind its end"))
	}
	rest, err := io.ReadAll(io.LimitReader(r.zip, piece))
	if err != nil {
		return savefile.Damaged(err)
	}
	if len(bytes.Trim(rest, "\x00")) > 0 {
		return savefile.Damaged(errors.New("there is something behind its end"))
	}
	return nil
}

// Close releases what reading takes.
func (r *Reader) Close() { r.zip.Close() }
