package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// publish puts a Debian of about 200 MB that shares no layer with b.image into
// the registry, and nothing of it stays in the store.
func (b *bench) publish() (ref string, err error) {
	if b.registry == "" {
		return "", errors.New("-registry is missing")
	}
	dir, err := os.MkdirTemp("/var/tmp", "tbx-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ref = b.registry + "/bench/debian:12"
	tar := filepath.Join(dir, "debian.tar")
	for _, s := range [][]string{
		{"podman", "save", "--quiet", "--format", "docker-dir", "--output", filepath.Join(dir, "image"), b.image},
		{"sh", "-c", `set -e; cd "$0"; cp "$(ls -S image/* | head -n 1)" debian.tar; head -c 12000000 /dev/urandom >bench; tar --append --file debian.tar bench`, dir},
		{"podman", "import", "--quiet", tar, ref},
		{"podman", "push", "--quiet", ref},
		{"podman", "rmi", "--force", ref},
	} {
		if err := must(s[0], s[1:]...); err != nil {
			return "", err
		}
	}
	return ref, nil
}

// pull measures the way of an image from the registry into the store. tbx also
// maps its layers for toolboxes then, for which podman alone has the first
// container wait: so each is measured, the pull alone and the pull with the mapping.
func pull(b *bench) error {
	ref, err := b.publish()
	if err != nil {
		return err
	}
	fetched := func(name string, args ...string) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			defer try("podman", "rmi", "--force", ref)
			// What the one before left to write is not charged to this one.
			syscall.Sync()
			return timed(name, args...)()
		}
	}
	s, err := inTurn(b.slow,
		fetched("tbx", "image", "pull", "--no-prepare", ref),
		fetched("podman", "pull", "--quiet", ref),
		fetched("tbx", "image", "pull", ref),
		fetched("sh", "-c", `podman pull --quiet "$0" && podman create --quiet --userns keep-id "$0" true`, ref))
	if err != nil {
		return err
	}
	row("`image pull --no-prepare` of 200 MB", s[0].median(), "podman pull", s[1].median(), 1.1)
	row("`image pull`, mapped for toolboxes too", s[2].median(), "podman pull and the first container", s[3].median(), 1.1)
	return nil
}

// fromPulled measures the first toolbox of an image that was just pulled.
func fromPulled(b *bench) error {
	ref, err := b.publish()
	if err != nil {
		return err
	}
	defer try("podman", "rmi", "--force", ref)
	var s series
	for range b.slow {
		if err := must("tbx", "image", "pull", ref); err != nil {
			return err
		}
		d, err := timed("tbx", "create", "--image", ref, tbxBox+"-p")()
		if err != nil {
			return err
		}
		s = append(s, d)
		try("tbx", "rm", "--force", tbxBox+"-p")
		try("podman", "rmi", "--force", ref)
	}
	fmt.Printf("| `create` from an image just pulled | %s | | | 300.0 ms, %s |\n", ms(s.median()), verdict(s.median() <= 300*time.Millisecond))
	return nil
}

// imageList measures with 100 images of one small file.
func imageList(b *bench) error {
	const n = 100
	name := func(i int) string { return fmt.Sprintf("localhost/%s:%d", tbxBox, i) }
	defer func() {
		for i := range n {
			try("podman", "rmi", name(i))
		}
	}()
	dir, err := os.MkdirTemp("", "tbx-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tar := filepath.Join(dir, "small.tar")
	if err := must("tar", "-cf", tar, "--files-from", "/dev/null"); err != nil {
		return err
	}
	for i := range n {
		if err := must("podman", "import", "--quiet", "--change", fmt.Sprintf("LABEL=n=%d", i), tar, name(i)); err != nil {
			return err
		}
	}
	s, err := inTurn(b.slow*2, timed("tbx", "image", "list"), timed("podman", "images"))
	if err != nil {
		return err
	}
	row("`image list` with 100 images", s[0].median(), "podman images", s[1].median(), 2)
	return nil
}
