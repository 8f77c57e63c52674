package toolbox

import (
	"os"
	"path/filepath"
	"strings"
)

// options judges a variable with words that programs add to their command line, such as
// NODE_OPTIONS. A word that names a host file missing inside would keep each such program
// from starting. So it is left out, with the word before it that it belongs to. A value
// with quotes is left as it is, because only its program can read it.
func (j *judge) options(value string) (string, bool) {
	if strings.ContainsAny(value, "\"'\\") {
		return value, true
	}
	var out []string
	words := strings.Fields(value)
	for _, word := range words {
		judged, ok := j.option(word)
		if ok {
			out = append(out, judged)
			continue
		}
		if n := len(out); !strings.HasPrefix(word, "-") && n > 0 && strings.HasPrefix(out[n-1], "-") {
			out = out[:n-1]
		}
	}
	if len(words) == 0 {
		return value, true
	}
	return strings.Join(out, " "), len(out) > 0
}

// option returns one word as it is right inside, if it is.
func (j *judge) option(word string) (string, bool) {
	at := pathIn(word)
	if at < 0 {
		return word, true
	}
	path, rest := word[at:], ""
	if end := strings.IndexAny(path, "=,:;"); end >= 0 {
		path, rest = path[:end], path[end:]
	}
	if inside, ok := j.shared(path); ok {
		return word[:at] + inside + rest, true
	}
	dir := filepath.Dir(path)
	_, noFile := os.Lstat(path)
	_, noDir := os.Lstat(dir)
	if noFile != nil && (noDir != nil || dir == "/") {
		return word, true // not a file of the host
	}
	inside, ok := j.place(path, nil)
	if !ok && noFile != nil { // to be created, or a name without its ending
		inside, ok = j.place(dir, nil)
		inside = filepath.Join(inside, filepath.Base(path))
	}
	return word[:at] + inside + rest, ok
}

// pathIn returns where an absolute path begins in a word: at its start, behind "=" or
// ":", or behind an option of one letter; -1: nowhere.
func pathIn(word string) int {
	at := strings.IndexByte(word, '/')
	switch {
	case at < 0, strings.HasPrefix(word[at:], "//"): // an address
		return -1
	case at == 0, word[at-1] == '=', word[at-1] == ':', at == 2 && word[0] == '-':
		return at
	}
	return -1
}
