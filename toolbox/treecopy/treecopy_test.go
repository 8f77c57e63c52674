package treecopy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// manifest says of every entry what a copy must keep.
func manifest(t *testing.T, root string) map[string]string {
	t.Helper()
	out, inodes := map[string]string{}, map[uint64]string{}
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%o %d:%d %d nlink=%d", st.Mode, st.Uid, st.Gid, st.Rdev, st.Nlink)
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			line += fmt.Sprintf(" size=%d", st.Size)
			if first, ok := inodes[st.Ino]; ok {
				line += " same as " + first
			} else {
				inodes[st.Ino] = rel
			}
		}
		line += fmt.Sprintf(" %d.%09d", st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(data))
		case unix.S_IFLNK:
			to, _ := os.Readlink(path)
			line += " -> " + to
		}
		buf := make([]byte, 1<<16)
		n, _ := unix.Llistxattr(path, buf)
		for _, name := range slices.Sorted(strings.SplitSeq(string(buf[:max(n, 0)]), "\x00")) {
			if name != "" {
				value := make([]byte, 1<<16)
				k, err := unix.Lgetxattr(path, name, value)
				line += fmt.Sprintf(" %s=%x(%v)", name, value[:max(k, 0)], err)
			}
		}
		out[rel] = line
		return nil
	}))
	return out
}

func same(t *testing.T, source, target string) {
	t.Helper()
	want, got := manifest(t, source), manifest(t, target)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%q:\n got %s\nwant %s", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q is in the copy alone", name)
		}
	}
}

// acl is user::rwx, user:1234:r-x, group::r-x, mask::rwx, other::---, as acl(5) is kept.
const acl = "\x02\x00\x00\x00\x01\x00\x07\x00\xff\xff\xff\xff\x02\x00\x05\x00\xd2\x04\x00\x00\x04\x00\x05\x00\xff\xff\xff\xff\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"

// capability is cap_net_raw=ep, as capabilities(7) is kept.
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// makeTree makes a tree of all that a toolbox may hold and this user can make.
func makeTree(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	write := func(name, text string, mode uint32) {
		t.Helper()
		must(t, os.WriteFile(at(name), []byte(text), 0o600), unix.Chmod(at(name), mode))
	}
	must(t, os.MkdirAll(at("a/b/c"), 0o755), os.Mkdir(at("empty"), 0o700), os.Mkdir(at("closed"), 0o700))
	write("a/plain", "text", 0o644)
	write("a/zero", "", 0o400)
	write("a/b/big", strings.Repeat("0123456789abcdef", 40_000), 0o640)
	write("setuid", "x", 0o4755)
	write("a/setgid", "x", 0o2755)
	write("new\nline", "x", 0o644)
	write("not utf8 \xff\xfe", "x", 0o644)
	write(strings.Repeat("n", 255), "x", 0o644)
	write("a/b/linked", "linked", 0o644)
	must(t, unix.Chmod(at("a/b"), 0o3775), unix.Chmod(at("closed"), 0))
	must(t, os.Link(at("a/b/linked"), at("a/first")), os.Link(at("a/b/linked"), at("z")))
	must(t, os.Symlink("/nowhere/at all", at("dangling")), os.Symlink("plain", at("a/link")))
	must(t, unix.Mkfifo(at("fifo"), 0o620), unix.Mknod(at("socket"), unix.S_IFSOCK|0o600, 0))
	must(t, unix.Setxattr(at("a/plain"), "user.overlay.origin", []byte("\x00\xff"), 0), unix.Setxattr(at("a/b/c"), "user.overlay.opaque", []byte("y"), 0))
	sparse, err := os.Create(at("sparse"))
	must(t, err)
	_, err = sparse.WriteAt([]byte("in the middle"), 5<<20)
	must(t, err, sparse.Truncate(64<<20), sparse.Close())
	if unix.Setxattr(at("a/zero"), "system.posix_acl_access", []byte(acl), 0) == nil { // not every file system has them
		must(t, unix.Setxattr(at("a"), "system.posix_acl_default", []byte(acl), 0))
	}
	if err := unix.Mknod(at("whiteout"), unix.S_IFCHR, 0); err != nil && os.Getuid() == 0 {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		write("ping", "x", 0o755)
		must(t, unix.Lchown(at("dangling"), 4242, 65534), unix.Chown(at("setuid"), 4242, 4243), unix.Chmod(at("setuid"), 0o6755))
		must(t, unix.Setxattr(at("ping"), "security.capability", []byte(capability), 0))
		must(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	} else {
		must(t, unix.Chmod(at("closed"), 0o500))
	}
	for i, name := range []string{"a/plain", "dangling", "fifo", "a/b", "a", "."} {
		ts := []unix.Timespec{{Sec: 1000000000, Nsec: 5}, {Sec: 1100000000 + int64(i), Nsec: 123456789}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, at(name), ts, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// started returns a source, a place for the copy and a Copier.
func started(t *testing.T) (source, into string, c *Copier, fd int) {
	t.Helper()
	base := t.TempDir()
	source, into = filepath.Join(base, "source"), filepath.Join(base, "into")
	must(t, os.Mkdir(source, 0o755), os.Mkdir(into, 0o755))
	at, err := openDir(unix.AT_FDCWD, into)
	must(t, err)
	t.Cleanup(func() { unix.Close(at) })
	c, err = New(at, "part")
	must(t, err)
	t.Cleanup(c.Close)
	fd, err = openDir(unix.AT_FDCWD, source)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return source, into, c, fd
}

func finish(t *testing.T, c *Copier, into string) string {
	t.Helper()
	fd, err := openDir(unix.AT_FDCWD, into)
	must(t, err)
	defer unix.Close(fd)
	must(t, c.Finish(fd, "diff"))
	c.Close()
	must(t, Remove(filepath.Join(into, "part")))
	return filepath.Join(into, "diff")
}

// TestE30_CopyIsTheSame: a copy is what its source is, in all that an overlay's upper
// directory may hold, and the source is as it was.
func TestE30_CopyIsTheSame(t *testing.T) {
	source, into, c, fd := started(t)
	makeTree(t, source)
	before := manifest(t, source)
	var st, was, is unix.Stat_t
	must(t, unix.Stat(filepath.Join(source, "a/plain"), &was))
	_, err := c.Pass(fd)
	must(t, err, unix.Stat(filepath.Join(source, "a/plain"), &is))
	target := finish(t, c, into)
	must(t, unix.Stat(filepath.Join(target, "a/plain"), &st))
	if st.Atim != was.Atim || is.Atim != was.Atim {
		t.Errorf("times of access: %v before, %v after, %v of the copy", was.Atim, is.Atim, st.Atim)
	}
	same(t, source, target)
	if !maps.Equal(before, manifest(t, source)) {
		t.Error("the source has changed")
	}
	must(t, unix.Stat(filepath.Join(target, "sparse"), &st))
	if st.Blocks*512 > 1<<20 {
		t.Errorf("the holes of a file of 64 MiB take %d bytes", st.Blocks*512)
	}
}

// change does to a tree what a package manager and a user do.
func change(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(at("a/plain"), []byte("other"), 0o644), os.Remove(at("z")), os.Remove(at("a/zero")))
	must(t, os.Rename(at("a/b"), at("moved")), os.Mkdir(at("a/b"), 0o700), os.WriteFile(at("a/b/new"), []byte("new"), 0o600))
	must(t, os.Remove(at("fifo")), os.Mkdir(at("fifo"), 0o755), os.WriteFile(at("fifo/x"), nil, 0o644))
	must(t, os.RemoveAll(at("empty")), os.WriteFile(at("empty"), []byte("a file now"), 0o644))
	must(t, os.Chmod(at("setuid"), 0o755), unix.Setxattr(at("sparse"), "user.late", []byte("1"), 0))
	must(t, os.Link(at("moved/big"), at("big too")), unix.Removexattr(at("moved/c"), "user.overlay.opaque"))
	f, err := os.OpenFile(at("moved/big"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("more")
	must(t, err, f.Close())
}

// TestE31_FurtherPasses: what changed after a pass is taken by the next, with a clock
// that was set back too, and what is swapped for another by name is.
func TestE31_FurtherPasses(t *testing.T) {
	source, into, c, fd := started(t)
	makeTree(t, source)
	must(t, os.MkdirAll(filepath.Join(source, "one/x"), 0o755), os.MkdirAll(filepath.Join(source, "two/x"), 0o755))
	old := time.Unix(1_000_000_000, 0)
	for name, text := range map[string]string{"one/x/f": "1", "two/x/f": "2"} {
		must(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o644), os.Chtimes(filepath.Join(source, name), old, old))
	}
	time.Sleep(2 * coarse)
	_, err := c.Pass(fd)
	must(t, err)
	if n, err := c.Pass(fd); err != nil || n != 0 {
		t.Fatalf("nothing was changed, and a pass did %d things: %v", n, err)
	}
	change(t, source)
	must(t, unix.Renameat2(unix.AT_FDCWD, filepath.Join(source, "one"), unix.AT_FDCWD, filepath.Join(source, "two"), unix.RENAME_EXCHANGE))
	n, err := c.Pass(fd)
	must(t, err)
	all := int64(len(manifest(t, source)))
	if n == 0 || n >= 2*all {
		t.Errorf("%d of %d were changed", n, all)
	}
	time.Sleep(2 * coarse)
	_, err = c.Pass(fd)
	must(t, err)
	if n, err := c.Pass(fd); err != nil || n != 0 {
		t.Errorf("it does not come to rest: %d, %v", n, err)
	}
	same(t, source, finish(t, c, into))
}

// TestE31_LinksChangeTogether: the names of one file stay one, whichever was looked at
// when.
func TestE31_LinksChangeTogether(t *testing.T) {
	source, into, c, fd := started(t)
	first, second := filepath.Join(source, "first"), filepath.Join(source, "second")
	must(t, os.WriteFile(first, []byte("1"), 0o644), os.Link(first, second))
	for i := range 7 { // with and without a rest, so that a version is certain or not
		if i%2 == 0 {
			time.Sleep(2 * coarse)
		}
		must(t, os.WriteFile([]string{first, second}[i%2], fmt.Append(nil, i), 0o644))
		if i == 3 {
			must(t, os.Remove(second))
		} else if i == 4 {
			must(t, os.RemoveAll(second), os.Link(first, second))
		}
		_, err := c.Pass(fd)
		must(t, err)
		copied := filepath.Join(into, "part", treeName)
		if text, _ := os.ReadFile(filepath.Join(copied, "second")); string(text) != fmt.Sprint(i) && i != 3 {
			t.Errorf("pass %d: %q", i, text)
		}
		a, _ := os.Stat(filepath.Join(copied, "first"))
		if b, err := os.Stat(filepath.Join(copied, "second")); (err == nil) != (i != 3) || err == nil && !os.SameFile(a, b) {
			t.Errorf("pass %d: the names are of two files: %v", i, err)
		}
	}
	same(t, source, finish(t, c, into))
}

// TestE32_DeepAndWide: a tree deeper than a path may be long and than files may be
// open, and a directory of many entries.
func TestE32_DeepAndWide(t *testing.T) {
	source, into, c, fd := started(t)
	at, err := again(fd)
	must(t, err)
	const depth, name = 1500, "a directory in a directory"
	for range depth {
		must(t, unix.Mkdirat(at, name, 0o755))
		next, err := openDir(at, name)
		must(t, err, unix.Close(at))
		at = next
	}
	f, err := openat(at, "the end", unix.O_CREAT|unix.O_WRONLY, 0o600)
	must(t, err, unix.Close(f), unix.Close(at))
	for i := range 3 * chunk {
		must(t, os.WriteFile(filepath.Join(source, fmt.Sprint(i)), nil, 0o600))
	}
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	lower := limit
	lower.Cur = 600
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &lower))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	for range 2 {
		_, err = c.Pass(fd)
		must(t, err)
	}
	target := finish(t, c, into)
	at, err = openDir(unix.AT_FDCWD, target)
	must(t, err)
	for range depth {
		next, err := openDir(at, name)
		must(t, err, unix.Close(at))
		at = next
	}
	var st unix.Stat_t
	must(t, unix.Fstatat(at, "the end", &st, 0), unix.Close(at))
	if names, err := os.ReadDir(target); err != nil || len(names) != 3*chunk+1 {
		t.Errorf("%d names, %v", len(names), err)
	}
	must(t, Remove(target), Remove(source))
}

// TestE33_LinksLeadNowhere: a source whose owner puts links in the place of directories
// and files while it is copied leads the copy nowhere.
func TestE33_LinksLeadNowhere(t *testing.T) {
	source, into, c, fd := started(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	must(t, os.Mkdir(filepath.Join(source, "d"), 0o755), os.WriteFile(filepath.Join(source, "d/secret"), []byte("own"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(source, "link")))
	end, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, filepath.Join(source, "d"), unix.AT_FDCWD, filepath.Join(source, "link"), unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 200 {
		_, err := c.Pass(fd)
		must(t, err)
	}
	close(end)
	<-ended
	_, err := c.Pass(fd)
	must(t, err)
	target := finish(t, c, into)
	same(t, source, target)
	must(t, filepath.WalkDir(target, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if data, _ := os.ReadFile(path); string(data) != "own" {
				t.Errorf("%s: %q", path, data)
			}
		}
		return err
	}))
}

// TestE34_Canceled: a pass that is canceled ends, the source is as it was, and what is
// left is removed by the next.
func TestE34_Canceled(t *testing.T) {
	source, into, c, fd := started(t)
	makeTree(t, source)
	before := manifest(t, source)
	c.Cancel()
	if _, err := c.Pass(fd); !errors.Is(err, ErrCanceled) {
		t.Errorf("%v", err)
	}
	c.Close()
	at, err := openDir(unix.AT_FDCWD, into)
	must(t, err)
	defer unix.Close(at)
	next, err := New(at, "part")
	must(t, err)
	_, err = next.Pass(fd)
	must(t, err)
	same(t, source, finish(t, next, into))
	if !maps.Equal(before, manifest(t, source)) {
		t.Error("the source has changed")
	}
	if names, _ := os.ReadDir(into); len(names) != 1 {
		t.Errorf("%v is left", names)
	}
}
