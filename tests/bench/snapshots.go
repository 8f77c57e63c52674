package main

import (
	"fmt"
	"time"
)

// snapshotBox is the toolbox of which snapshots are made.
const snapshotBox = "bench-snapshot"

// snapshots compares a snapshot and a rollback with podman's commit and a toolbox made of
// that: what people did until now.
func snapshots(b *bench) error {
	const files = `mkdir -p /opt/many && head -c 20000 /dev/urandom >/opt/block && ` +
		`i=0; while [ $i -lt 20000 ]; do i=$((i+1)); d=/opt/many/$((i/200)); mkdir -p $d; cp /opt/block $d/$i; done`
	const image = "localhost/bench-snapshot:1"
	run := func(args ...string) (time.Duration, error) {
		begin := time.Now()
		err := must(args[0], args[1:]...)
		return time.Since(begin), err
	}
	defer func() {
		_ = must("tbx", "rm", "--force", snapshotBox)
		_ = must("podman", "rmi", "--force", "--ignore", image)
	}()
	for _, args := range [][]string{
		{"tbx", "create", "--image", b.image, snapshotBox}, {"tbx", "run", "--root", snapshotBox, "--", "sh", "-c", files}, {"tbx", "stop", snapshotBox},
	} {
		if _, err := run(args...); err != nil {
			return err
		}
	}
	made, err := run("tbx", "snapshot", "create", snapshotBox, "first")
	if err != nil {
		return err
	}
	committed, err := run("podman", "commit", "--quiet", snapshotBox, image)
	if err != nil {
		return err
	}
	row("snapshot of 20,000 files, 400 MB", made, "podman commit", committed, 1.0/5)
	back, err := run("tbx", "snapshot", "rollback", snapshotBox, "first")
	if err != nil {
		return err
	}
	if err := must("tbx", "rm", "--force", snapshotBox); err != nil {
		return err
	}
	again, err := run("tbx", "create", "--image", image, snapshotBox)
	if err != nil {
		return fmt.Errorf("a toolbox of the committed image: %w", err)
	}
	compare("going back to it", back, "tbx create of the committed image", again)
	return nil
}
