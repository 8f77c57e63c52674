// Package userns describes the user namespace of a process by the ids in it,
// user_namespaces(7). tbx looks at the caller's namespace before it explains a failure:
// much that seems broken inside a unit's or a sandbox's namespace works outside.
package userns

import (
	"os"
	"strconv"
	"strings"
)

// Own returns /proc/self/uid_map, or "" on a kernel that has none.
func Own() string {
	data, _ := os.ReadFile("/proc/self/uid_map") // callers handle ""
	return string(data)
}

// FakeRoot reports whether id 0 of a namespace, given its uid_map, is an ordinary user
// outside, who is root only here, as in unshare --map-root-user and podman unshare.
func FakeRoot(uidMap string) bool {
	for _, m := range parse(uidMap) {
		if m.first == 0 {
			return m.end == 1 && m.outside != 0
		}
	}
	return false
}

// LacksIDs reports whether a namespace has none of the ranges that subuid(5), as text,
// gives a user. Without a range it counts the ids: a namespace for one process has only
// its user's and perhaps root's.
func LacksIDs(uidMap, subuid, account string, uid int) bool {
	have, total := parse(uidMap), 0
	for _, m := range have {
		total += m.end - m.first
	}
	if total == 0 {
		return false // unreadable
	}
	ranges := rangesOf(subuid, account, uid)
	if len(ranges) == 0 {
		return total <= 2
	}
	for _, r := range ranges {
		for _, m := range have {
			if r.first >= m.first && r.end <= m.end {
				return false
			}
		}
	}
	return true
}

// HasRange reports whether subuid(5), as text, gives a user ids, by name or number.
func HasRange(subuid, account string, uid int) bool { return len(rangesOf(subuid, account, uid)) > 0 }

// Unused returns the first of a range of ids, as large as useradd(8) gives, that no text
// of subuid(5) gives to anybody: a user who shares ids with another owns the files in
// that one's containers.
func Unused(texts ...string) int {
	first := 100000 // SUB_UID_MIN of login.defs(5)
	for _, text := range texts {
		for _, line := range strings.Split(text, "\n") {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
			if n := numbers(strings.Split(rest, ":")); len(n) == 2 {
				first = max(first, n[0]+n[1])
			}
		}
	}
	return first
}

// ids are the ids from first to before end, and the outside id of first.
type ids struct{ first, end, outside int }

func parse(uidMap string) []ids {
	var out []ids
	for _, line := range strings.Split(uidMap, "\n") {
		if n := numbers(strings.Fields(line)); len(n) == 3 {
			out = append(out, ids{n[0], n[0] + n[2], n[1]})
		}
	}
	return out
}

func rangesOf(subuid, account string, uid int) []ids {
	var out []ids
	for _, line := range strings.Split(subuid, "\n") {
		f := strings.Split(strings.TrimSpace(line), ":")
		if f[0] != account && f[0] != strconv.Itoa(uid) {
			continue
		}
		if n := numbers(f[1:]); len(n) == 2 && n[1] > 0 {
			out = append(out, ids{first: n[0], end: n[0] + n[1]})
		}
	}
	return out
}

// numbers returns nil if one of words is not a number.
func numbers(words []string) []int {
	var out []int
	for _, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}
