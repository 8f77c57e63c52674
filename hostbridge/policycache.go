package hostbridge

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// policyCache reads the policy again when one of its files has changed, so that an edit
// applies from the next request on.
type policyCache struct {
	mu     sync.Mutex
	stamp  string
	policy *Policy
	err    error
}

func (c *policyCache) get(dirs PolicyDirs) (*Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := dirs.stamp()
	if c.stamp != stamp || c.policy == nil && c.err == nil {
		c.policy, c.err = dirs.Load()
		c.stamp = stamp
	}
	return c.policy, c.err
}

// stamp changes with every change of a file: it holds the inode and the time of
// its last change, which no program can set.
func (d PolicyDirs) stamp() string {
	var b strings.Builder
	for _, dir := range []string{d.Admin, d.User} {
		names := []string{dir}
		entries, err := os.ReadDir(dir)
		if err != nil {
			b.WriteString(err.Error())
		}
		for _, e := range entries {
			names = append(names, filepath.Join(dir, e.Name()))
		}
		for _, name := range names {
			b.WriteString(name)
			if fi, err := os.Lstat(name); err == nil {
				st := fi.Sys().(*syscall.Stat_t)
				for _, n := range []int64{int64(st.Ino), st.Size, st.Ctim.Nano(), int64(st.Mode)} {
					b.WriteByte(' ')
					b.WriteString(strconv.FormatInt(n, 10))
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
