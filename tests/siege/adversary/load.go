package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Bounds of what is used up.
const (
	maxForks  = 300
	maxMemory = 64 << 20 // bytes, of memory and of disk
)

// forks starts processes that leave their parents and do not heed TERM.
func forks(r *rand.Rand) {
	n := r.IntN(maxForks)
	for range n {
		attr := &os.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}}
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "trap '' TERM HUP; sleep 5; sleep 5"}, attr)
		if err != nil {
			return
		}
		p.Release()
	}
}

func memory(r *rand.Rand) {
	b := make([]byte, r.IntN(maxMemory))
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	path := filepath.Join(config.Home, "disk")
	os.WriteFile(path, b, 0o600)
	os.WriteFile("/dev/shm/disk", b, 0o600)
	time.Sleep(time.Second)
	os.Remove(path)
	os.Remove("/dev/shm/disk")
}
