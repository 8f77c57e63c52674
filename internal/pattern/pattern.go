// Package pattern holds regular expressions that are compiled when they are first
// used. Compiling all of them would be a good part of the start of tbx.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that returns expr compiled. It panics at the first use of
// an expr that is none, so that expr must be a constant that a test uses.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
