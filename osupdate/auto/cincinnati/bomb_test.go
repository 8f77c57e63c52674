package cincinnati_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"testing"
	"time"
)

// bomb is 50 MB of spaces in some kilobytes.
func bomb(t *testing.T) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 50 {
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Error(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Error(err)
	}
	return b.Bytes()
}

func contextWith(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
