// Package bounded keeps what another program says, up to a size.
package bounded

import (
	"bytes"
	"fmt"
)

// Buffer keeps Most bytes at most: a Write beyond that keeps what has room and is an
// error, so that who copies into it ends. It embeds no bytes.Buffer, whose ReadFrom
// knows no limit.
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
	return room, fmt.Errorf("it said more than %d KiB", b.Most>>10)
}

// Read takes from the beginning of what is kept.
func (b *Buffer) Read(p []byte) (int, error) { return b.kept.Read(p) }

// String is what is kept and not read yet.
func (b *Buffer) String() string { return b.kept.String() }

// Len is its length in bytes.
func (b *Buffer) Len() int { return b.kept.Len() }
