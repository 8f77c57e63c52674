// Package bounded keeps the output of another program, up to a size.
package bounded

import (
	"bytes"
	"fmt"
)

// Buffer keeps Most bytes at most. A Write beyond that keeps what fits and returns an
// error, so that a copy into it ends. It does not embed bytes.Buffer, whose ReadFrom has
// no limit.
type Buffer struct {
	Most int
	kept bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	room := max(0, b.Most-b.kept.Len())
	if len(p) <= room {
		return b.kept.Write(p)
	}
	b.kept.Write(p[:room])
	return room, fmt.Errorf("it wrote more than %d KiB", b.Most>>10)
}

// Read reads from the beginning of the kept output.
func (b *Buffer) Read(p []byte) (int, error) { return b.kept.Read(p) }

// String returns the kept output that is not read yet.
func (b *Buffer) String() string { return b.kept.String() }

// Len returns its length in bytes.
func (b *Buffer) Len() int { return b.kept.Len() }
