// Package pattern holds regular expressions that are compiled on first use. Compiling all
// of them would take a good part of tbx's start.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that returns expr compiled. An invalid expr panics on first
// use, so it must be a constant that a test uses.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
