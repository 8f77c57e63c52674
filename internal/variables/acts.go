package variables

import (
	"slices"
	"strings"
)

// ActsOnLoader reports whether the dynamic loader or the C library reads a variable, so
// that it acts on every program linked with them: ld.so(8), mallopt(3), setlocale(3),
// catopen(3), iconv(3), and glibc's manual on tunables.
func ActsOnLoader(name string) bool {
	return strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "MALLOC_") ||
		slices.Contains([]string{"GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH"}, name)
}

// ActsOnPrograms reports whether a variable acts on programs that do not ask for it:
// through their loader, through a shell that they call (bash(1) and sh(1p): files that a
// shell runs before a script, and functions), or through Go's runtime.
//
// This is the one list of them. Code that keeps variables of an untrusted side (an image,
// a toolbox, the caller of a program with more rights) away from a program leaves out
// these, and more if it must.
func ActsOnPrograms(name string) bool {
	return ActsOnLoader(name) || strings.HasPrefix(name, "BASH_FUNC_") ||
		slices.Contains([]string{"BASH_ENV", "ENV", "GODEBUG"}, name)
}
