package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// journal keeps what was done last, counts, and what was found.
type journal struct {
	seed  uint64
	begun time.Time

	mu    sync.Mutex
	last  []string
	acts  map[string]int
	tries map[string]int
	found map[string]int
	file  *os.File // all that was done, as far as maxJournal
	left  int
}

const (
	lastKept  = 40
	sameFound = 2 // times that the same finding is printed in full

	maxJournal = 64 << 20 // bytes
)

func newLog(seed uint64, path string) *journal {
	j := &journal{seed: seed, begun: time.Now(), acts: map[string]int{}, tries: map[string]int{}, found: map[string]int{}, left: maxJournal}
	if path != "" {
		j.file, _ = os.Create(path)
	}
	return j
}

// did notes a step of either side.
func (j *journal) did(who, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := fmt.Sprintf("%7.2fs %-12s %s", time.Since(j.begun).Seconds(), who, fmt.Sprintf(format, args...))
	j.last = append(j.last, line)
	if j.left -= len(line) + 1; j.file != nil && j.left > 0 {
		fmt.Fprintln(j.file, line)
	}
	if len(j.last) > lastKept {
		j.last = j.last[1:]
	}
}

func (j *journal) count(m map[string]int, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	m[key]++
}

// most notes the greatest number that was seen of something.
func (j *journal) most(what string, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts[what] = max(j.acts[what], n)
}

// find notes that the boundary, or a promise to the owner, did not hold.
func (j *journal) find(what, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found[what]++
	if j.found[what] > sameFound {
		return
	}
	fmt.Printf("\nFINDING: %s\n  %s\n  seed %d, after %.1f s. Last:\n    %s\n", what, fmt.Sprintf(format, args...), j.seed,
		time.Since(j.begun).Seconds(), strings.Join(j.last, "\n    "))
}

// summary prints all counts and returns the exit code.
func (j *journal) summary() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Printf("\nsiege: %.1f minutes, seed %d\n", time.Since(j.begun).Minutes(), j.seed)
	table := func(title string, m map[string]int) {
		fmt.Printf("%s:", title)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Printf("  %s %d", k, m[k])
		}
		fmt.Println()
	}
	table("the owner", j.acts)
	table("the adversary", j.tries)
	if len(j.found) == 0 {
		fmt.Println("found: nothing")
		return 0
	}
	table("FOUND", j.found)
	return 1
}
