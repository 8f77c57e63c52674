package main

import (
	"fmt"
	"time"
)

// edit measures a change of settings of a toolbox with 1 GB in it beside what people do
// without: podman commit, and another container from that.
func edit(b *bench) error {
	const box = tbxBox + "-edit"
	defer try("tbx", "rm", "--force", box)
	defer try("podman", "rmi", "--force", "localhost/bench-edit:1")
	const fill = "i=0; while [ $i -lt 1000 ]; do head -c 1000000 /dev/urandom >/var/tmp/f$i; i=$((i+1)); done"
	for _, args := range [][]string{{"create", "--image", b.image, box}, {"run", box, "--", "sh", "-c", fill}} {
		if err := must("tbx", args...); err != nil {
			return err
		}
	}
	n := 0
	change := func() (time.Duration, error) {
		n++
		return timed("tbx", "edit", "--env", fmt.Sprintf("N=%d", n), box)()
	}
	running, err := inTurn(b.slow, rested(change))
	if err != nil {
		return err
	}
	if err := must("tbx", "stop", box); err != nil {
		return err
	}
	stopped, err := inTurn(b.slow, rested(change))
	if err != nil {
		return err
	}
	commit, err := inTurn(1, func() (time.Duration, error) {
		begin := time.Now()
		for _, args := range [][]string{
			{"commit", "--quiet", box, "localhost/bench-edit:1"},
			{"create", "--quiet", "--userns", "keep-id", "--name", box + "-new", "localhost/bench-edit:1"},
		} {
			if err := must("podman", args...); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), must("podman", "rm", "--force", box+"-new")
	})
	if err != nil {
		return err
	}
	row("`edit` of 1 GB, stopped", stopped[0].median(), "podman commit and create", commit[0].median(), 1.0/50)
	row("the same, running and idle", running[0].median(), "podman commit and create", commit[0].median(), 1.0/50)
	bounded("`edit`, stopped", stopped[0].median(), 300*time.Millisecond)
	bounded("`edit`, running and idle", running[0].median(), 600*time.Millisecond)
	return nil
}

// bounded prints one duration beside the most that it may be.
func bounded(what string, tbx, most time.Duration) {
	fmt.Printf("| %s | %s | | | %s, %s |\n", what, ms(tbx), ms(most), verdict(tbx <= most))
}
