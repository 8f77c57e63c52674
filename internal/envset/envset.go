// Package envset looks up variables in environments, lists of NAME=VALUE as in
// environ(7). It must not know any variable.
package envset

import "strings"

// Get returns the value of a variable, or "". If a variable occurs twice, the last
// counts, as in a shell.
func Get(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// First returns the value of a variable, or "". If a variable occurs twice, the first
// counts, as in getenv(3).
func First(env []string, name string) string {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}
