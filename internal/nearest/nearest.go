// Package nearest finds the known names that a mistyped word may have meant.
package nearest

import (
	"slices"
	"strings"
)

// Names returns at most three of known that word may have meant, best first: those that
// start with it, and those that differ from it in at most a third of their letters
// (insert, delete, replace, swap count one each).
func Names(word string, known []string) []string {
	word = strings.ToLower(word)
	type hit struct {
		name string
		cost int
	}
	var hits []hit
	for _, name := range known {
		cost := distance(word, strings.ToLower(name))
		if len(word) >= 2 && strings.HasPrefix(strings.ToLower(name), word) {
			cost = 1
		}
		if cost <= max(1, max(len(word), len(name))/3) {
			hits = append(hits, hit{name, cost})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		if a.cost != b.cost {
			return a.cost - b.cost
		}
		return strings.Compare(a.name, b.name)
	})
	var out []string
	for _, h := range hits[:min(3, len(hits))] {
		out = append(out, h.name)
	}
	return out
}

// distance counts the bytes to insert, delete, replace, or swap with their
// neighbour (optimal string alignment).
func distance(a, b string) int {
	m := make([][]int, len(a)+1)
	for i := range m {
		m[i] = make([]int, len(b)+1)
		m[i][0] = i
	}
	for j := range m[0] {
		m[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := m[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			m[i][j] = min(replace, m[i-1][j]+1, m[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				m[i][j] = min(m[i][j], m[i-2][j-2]+1)
			}
		}
	}
	return m[len(a)][len(b)]
}
