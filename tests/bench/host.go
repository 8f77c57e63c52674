package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// hostStatus measures `tbx host status` beside the updater's own, on an OSTree
// sysroot in a directory with two systems.
func hostStatus(b *bench) error {
	dir, err := os.MkdirTemp("", "bench-host")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sysroot, err := makeSysroot(dir)
	if err != nil {
		return err
	}
	tbx, ostree := timed("tbx", "host", "status", "--sysroot", sysroot), timed("ostree", "admin", "status", "--sysroot="+sysroot)
	if _, err := tbx(); err != nil { // it remembers that this ostree has no JSON
		return err
	}
	s, err := inTurn(b.runs, tbx, ostree)
	if err != nil {
		return err
	}
	more := s[0].median() - s[1].median()
	fmt.Printf("| `host status`, two systems | %s | ostree admin status %s | +%s | +10 ms, %s |\n", ms(s[0].median()), ms(s[1].median()), ms(more), verdict(more <= 10*time.Millisecond))
	return nil
}

func makeSysroot(dir string) (string, error) {
	sysroot, remote, tree := dir+"/sysroot", dir+"/remote", dir+"/tree"
	for name, text := range map[string]string{
		"usr/lib/modules/6.1/vmlinuz": "a kernel", "usr/lib/modules/6.1/initramfs.img": "an initramfs",
		"usr/lib/os-release": "NAME=Bench\nID=bench\n", "usr/etc/app.conf": "default\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(sysroot, 0o755); err != nil {
		return "", err
	}
	commit := func(version string) []string {
		return []string{"ostree", "--repo=" + remote, "commit", "--branch=stable", "--tree=dir=" + tree, "--add-metadata-string=version=" + version}
	}
	repo := "--repo=" + sysroot + "/ostree/repo"
	for _, argv := range [][]string{
		{"ostree", "--repo=" + remote, "init", "--mode=archive"},
		commit("1"),
		{"ostree", "admin", "init-fs", sysroot},
		{"ostree", "admin", "--sysroot=" + sysroot, "os-init", "bench"},
		// A boot loader that ostree finds.
		{"sh", "-c", `cd "$1/boot" && mkdir loader.0 syslinux && ln -s loader.0 loader && : >loader.0/syslinux.cfg && ln -s ../loader/syslinux.cfg syslinux/`, "sh", sysroot},
		{"ostree", repo, "remote", "add", "--no-gpg-verify", "bench", "file://" + remote},
		{"ostree", repo, "pull", "bench", "stable"},
		{"ostree", "admin", "--sysroot=" + sysroot, "deploy", "--os=bench", "--karg=root=LABEL=x", "bench:stable"},
		commit("2"),
		{"ostree", "admin", "--sysroot=" + sysroot, "upgrade", "--os=bench"},
	} {
		if err := must(argv[0], argv[1:]...); err != nil {
			return "", err
		}
	}
	return sysroot, nil
}
